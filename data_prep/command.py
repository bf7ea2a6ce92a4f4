"""The command line that all converters share."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.row.prompts import TEMPLATES, prompt_template

if TYPE_CHECKING:
    from data_prep.datasets import DataSet


def convert_command(data_set: DataSet, argv: list[str] | None) -> None:
    """Parse the arguments, convert the data set and print a table of what was written.

    Raises:
        SystemExit: the source, an option or the output is wrong; the message says what to change.
    """
    args = build_parser(data_set).parse_args(argv)
    started = time.monotonic()

    from data_prep.convert.parts import ConversionJob
    from data_prep.convert.run import Options, run
    from data_prep.raw.files import Files
    from data_prep.raw_forms.raw_form import Source
    from data_prep.row.make_row import RowKind

    for path in (args.source, *args.image_root):
        if not path.exists():
            raise SystemExit(f"{path}: no such file or folder; set --source and --image-root")
    splits_by = getattr(args, "splits_by", None)
    template = prompt_template(args.template, data_set.ability, args.system)
    source = Source(args.source, Files([args.source, *args.image_root]), splits_by)
    form = data_set.form_of(source, args.format)
    print(f"{data_set.name}: {args.source} has the form {form.name}")
    kind = RowKind(data_set.name, data_set.ability, template)
    job = ConversionJob(form.read, kind, args.images, args.image_budget, args.out.absolute())
    options = Options(args.seed, args.max_rows, args.shards, args.processes, args.ray)
    try:
        report = run(form, source, job, options)
    except OSError as error:
        path = error.filename or args.out
        raise SystemExit(
            f"cannot go on: {path}: {error.strerror or error}; make room or choose another --out, and start again: "
            "finished parts are kept"
        ) from None
    published = {} if args.max_rows else data_set.published_rows(form, splits_by)
    print(report.table(time.monotonic() - started, published))
    print(f"wrote {args.out}; rejected rows and their sources: {args.out / 'rejects.jsonl'}")
    empty = [str(split["split"]) for split in report.splits if not split["written"]]
    if empty or not report.splits:
        raise SystemExit(f"all rows of {', '.join(empty) or 'the source'} were rejected; rejects.jsonl says why")


def build_parser(data_set: DataSet) -> argparse.ArgumentParser:
    """Build the argument parser of a data set's converter."""
    forms = "\n".join(f"  {form.name:<12} {form.about}" for form in data_set.forms)
    parser = argparse.ArgumentParser(
        prog=f"python -m data_prep {data_set.name}",
        description=f"{data_set.description}\n\nforms of the source:\n{forms}",
        epilog="A run can be stopped at any moment; the same command goes on where it stopped, with the same result.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--source", type=Path, required=True, metavar="PATH", help="folder (or file) of the raw data set")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for SPLIT.parquet, rejects.jsonl, report.json")
    add("--image-root", type=Path, action="append", default=[], metavar="DIR", help="more images; may be repeated")
    add("--format", choices=[form.name for form in data_set.forms], help="default: recognised")
    if data_set.splits_by:
        add("--splits-by", choices=data_set.splits_by, default=data_set.splits_by[0], help="default %(default)s")
    names = ", ".join(TEMPLATES)
    add("--template", default=data_set.template, metavar="NAME", help=f"{names} or a text file (default %(default)s)")
    add("--system", type=Path, metavar="FILE", help="text of a system message (default: the template's own)")
    add("--images", choices=("embed", "path"), default="embed", help="bytes in the parquet, or paths (default embed)")
    add("--image-budget", type=_positive, metavar="PIXELS", help="scale larger images down (default: no image is)")
    add("--max-rows", type=_positive, metavar="N", help="draw at most N raw rows of each split (default: all)")
    add("--seed", type=int, default=0, help="of the rows' order and the draw of --max-rows (default %(default)s)")
    add("--shards", type=_positive, default=1, metavar="N", help="files a split (default %(default)s)")
    add("--processes", type=_positive, default=os.cpu_count() or 1, help="default: all cores, %(default)s")
    add("--ray", action="store_true", help="convert on Ray Data: local, or the cluster of RAY_ADDRESS")
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected at least 1")
    return value
