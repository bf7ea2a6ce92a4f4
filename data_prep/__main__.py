"""`python -m data_prep NAME ...` converts the data set NAME, or looks at the result; each NAME has its own `--help`."""

from __future__ import annotations

import sys
from importlib import import_module

COMMANDS = {
    "refcoco": "RefCOCO: short referring expressions",
    "refcoco+": "RefCOCO+: without words of place",
    "refcocog": "RefCOCOg: longer ones",
    "lisa-grounding": "LISA-Grounding: expressions that need reasoning, for evaluation",
    "refgta": "RefGTA: people in a computer game, for evaluation",
    "geometry3k": "Geometry3K: geometry with diagrams",
    "mm-eureka": "MM-Eureka-Dataset: school mathematics and science",
    "mmk12": "MMK12: school mathematics and science, with a test of four subjects",
    "virl39k": "ViRL39K: visual reasoning of many kinds",
    "shapes": "synthetic grounding, made on the spot",
    "shapes-reasoning": "synthetic visual reasoning, made on the spot",
    "inspect": "FILE: what is in a parquet file, as text and as a page with pictures",
    "check": "TRAIN EVAL: images that stand in both",
}


def usage() -> str:
    """The help of `python -m data_prep`."""
    lines = (f"  {name:<17} {about}" for name, about in COMMANDS.items())
    return "\n".join(
        (
            "usage: python -m data_prep NAME [options]      the options: python -m data_prep NAME --help",
            "",
            "Raw data sets, as they are distributed, to the parquet files that verl reads. For example:",
            "",
            "  python -m data_prep refcoco --source refer/data --splits-by unc --out refcoco",
            "  python -m data_prep inspect refcoco/val.parquet",
            "",
            *lines,
        )
    )


def main(argv: list[str] | None = None) -> None:
    """Hand the arguments after the name to that module's own `main`."""
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
    elif not argv or argv[0] not in COMMANDS:
        got = f"got {argv[0]!r}, which is no NAME" if argv else "no NAME given"
        raise SystemExit(f"{got}\n{usage()}")
    else:
        module = argv[0].replace("+", "_plus").replace("-", "_")
        room = {"shapes": "synthetic.", "shapes_reasoning": "synthetic.", "inspect": "look.", "check": "look."}
        import_module(f"data_prep.{room.get(module, '')}{module}").main(argv[1:])


if __name__ == "__main__":
    main()
