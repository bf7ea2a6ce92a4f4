"""`python -m data_prep NAME ...` converts the data set NAME, or looks at the result; each NAME has its own `--help`."""

from __future__ import annotations

import sys
from importlib import import_module

from data_prep.command import convert_command
from data_prep.datasets import DATA_SETS, OWN

OTHER_COMMANDS = {  # name: (module with a function `main`, line of the help)
    "shapes": ("data_prep.synthetic.shapes", "synthetic grounding, made on the spot"),
    "shapes-reasoning": ("data_prep.synthetic.shapes_reasoning", "synthetic visual reasoning, made on the spot"),
    "inspect": ("data_prep.look.inspect", "FILE: what is in a parquet file, as text and as a page with pictures"),
    "check": ("data_prep.look.check", "TRAIN EVAL: images that stand in both"),
}
CONVERTERS = {**DATA_SETS, OWN.name: OWN}
COMMANDS = {name: data_set.summary for name, data_set in CONVERTERS.items()} | {
    name: summary for name, (_, summary) in OTHER_COMMANDS.items()
}


def usage() -> str:
    """Return the help text of `python -m data_prep`."""
    lines = (f"  {name:<17} {summary}" for name, summary in COMMANDS.items())
    return "\n".join(
        (
            "usage: python -m data_prep NAME [options]      the options: python -m data_prep NAME --help",
            "",
            "Raw data sets, as they are distributed, to the parquet files that verl reads. For example:",
            "",
            "  python -m data_prep refcoco --source refer/data --splits-by unc --out refcoco",
            "  python -m data_prep jsonl --source my.jsonl --question question --answer answer --image image --out my",
            "  python -m data_prep inspect refcoco/val.parquet",
            "",
            *lines,
        )
    )


def main(argv: list[str] | None = None) -> None:
    """Run the command that the first argument names, with the remaining arguments.

    Raises:
        SystemExit: the first argument names no command, or the command fails.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in ("-h", "--help"):
        print(usage())
    elif not argv or argv[0] not in COMMANDS:
        got = f"got {argv[0]!r}, which is no NAME" if argv else "no NAME given"
        raise SystemExit(f"{got}\n{usage()}")
    elif argv[0] in CONVERTERS:
        convert_command(CONVERTERS[argv[0]], argv[1:])
    else:
        module, _ = OTHER_COMMANDS[argv[0]]
        try:
            import_module(module).main(argv[1:])
        except OSError as error:
            raise SystemExit(f"{error.filename or argv[0]}: {error.strerror or error}") from None


if __name__ == "__main__":
    main()
