"""How many wrong answers ours, math-verify and mathruler accept, and how many right ones they refuse.

    PYTHONPATH=benchmarks python -m graders [--golds 3000] [--seed 0] [--examples 0] [--out FILE.md]

Draws golds of every kind that maths data has (`graders.golds`), each with equal writings and with answers in which one
thing was changed, so that they are surely wrong. Prints a page of Markdown. Needs mathruler, which is in the extra
`cpu`. Takes some minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from graders.golds import golds
from graders.graders import graders
from graders.page import page
from graders.trial import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--golds", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--examples", type=int, default=0, help="pairs at which ours failed, of each kind of gold")
    parser.add_argument("--out", type=Path, help="file for the page, besides stdout")
    arguments = parser.parse_args()
    compared = graders()
    text = page(run(golds(arguments.golds, arguments.seed), compared), compared, arguments.examples)
    if arguments.out:
        arguments.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
