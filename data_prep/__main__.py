"""`python -m data_prep NAME ...` runs the converter NAME; `python -m data_prep NAME --help` lists its options."""

from __future__ import annotations

import sys
from importlib import import_module

CONVERTERS = ("shapes", "shapes-reasoning")


def main(argv: list[str] | None = None) -> None:
    """Hand the arguments after the converter's name to that converter's own `main`."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv or argv[0] not in CONVERTERS:
        raise SystemExit(f"usage: python -m data_prep {{{','.join(CONVERTERS)}}} [options]")
    import_module(f"data_prep.{argv[0].replace('-', '_')}").main(argv[1:])


if __name__ == "__main__":
    main()
