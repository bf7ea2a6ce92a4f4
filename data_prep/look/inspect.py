"""Shows what is in a parquet file for verl: schema, counts and sizes as text, and a page with images and prompts.

python -m data_prep inspect FILE [--html PAGE] [--sample N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.look.reading import open_rows, sampled_rows


def main(argv: list[str] | None = None) -> None:
    """Command line of `python -m data_prep inspect`."""
    parser = argparse.ArgumentParser(prog="python -m data_prep inspect", description="What is in a parquet file.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--html", type=Path, metavar="PAGE", help="default: FILE with .html in place of .parquet")
    parser.add_argument("--sample", type=int, default=24, metavar="N", help="rows on the page (default %(default)s)")
    args = parser.parse_args(argv)

    from data_prep.look.facts import facts
    from data_prep.look.page import page

    page_path = args.html or args.file.with_suffix(".html")
    file = open_rows(args.file)
    schema, file_facts = file.schema_arrow.remove_metadata().to_string(), facts(args.file)
    print(schema)
    print("\n".join(["", *(f"{name:<24}{value}" for name, value in file_facts)]))
    page_path.write_text(page(args.file, file_facts, schema, sampled_rows(file, args.sample)), encoding="utf-8")
    print(f"{'page':<24}{page_path}")
