"""`python -m reward_fns check FILE...` checks the gold answers of parquet files; it has its own `--help`."""

import sys

from reward_fns import check

USAGE = "usage: python -m reward_fns check FILE... [options]      the options: python -m reward_fns check --help"


def main(argv: list[str] | None = None) -> None:
    """Run the command that the first argument names.

    Raises:
        SystemExit: the first argument names no command, or the command fails.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] == "check":
        check.main(argv[1:])
    elif argv and argv[0] in ("-h", "--help"):
        print(USAGE)
    else:
        raise SystemExit(f"got {' '.join(argv[:1]) or 'no command'}, expected check\n{USAGE}")


if __name__ == "__main__":
    main()
