"""The command line that all converters share."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.row.prompts import TEMPLATES, prompt_template

if TYPE_CHECKING:
    from data_prep.data_set import DataSet


def convert_command(data_set: DataSet, argv: list[str] | None) -> None:
    """Parse the arguments, convert the data set and print a table of what was written.

    Raises:
        SystemExit: the source, an option or the output is wrong; the message says what to change.
    """
    args = build_parser(data_set).parse_args(argv)
    try:
        _convert(data_set, args)
    except OSError as error:
        path = Path(error.filename or args.out).absolute()
        if not path.is_relative_to(args.out.absolute()):
            raise SystemExit(f"{path}: cannot be read: {error.strerror or error}; mend it, or move it") from None
        raise SystemExit(
            f"cannot go on: {path}: {error.strerror or error}; make room or choose another --out, and start again: "
            "finished parts are kept"
        ) from None


def _convert(data_set: DataSet, args: argparse.Namespace) -> None:
    started = time.monotonic()

    from data_prep.convert.parts import ConversionJob
    from data_prep.convert.run import Options, run
    from data_prep.look.image_hashes import rows_by_image
    from data_prep.raw.files import Files
    from data_prep.raw_forms.raw_form import Source
    from data_prep.row.make_row import RowKind

    for path in (args.source, *args.image_root):
        if not path.exists():
            raise SystemExit(f"{path}: no such file or folder; set --source and --image-root")
    if args.source.absolute() == args.out.absolute():
        raise SystemExit(f"--out: got {args.out}, the folder of --source, expected another one")
    splits_by = getattr(args, "splits_by", None)
    source = Source(args.source, Files([args.source, *args.image_root]), splits_by)
    print("".join(f"{message}\n" for message in source.files.unreadable), end="")
    if data_set.with_options:
        data_set, source = data_set.with_options(data_set, source, args)
    template = prompt_template(args.template or data_set.template, data_set.ability, args.system)
    form = data_set.form_of(source, args.format)
    print(f"{data_set.name}: {args.source} has the form {form.name}")
    if not args.keep_unearnable:
        _check_reward(data_set.name)
    kind = RowKind(data_set.name, data_set.ability, template)
    excluded = frozenset(image for path in args.exclude for image in rows_by_image(path))
    limits = (args.image_budget, args.min_side, excluded, args.keep_unearnable)
    job = ConversionJob(form.read, kind, args.images, *limits, args.out.absolute())
    options = Options(args.seed, tuple(args.splits), args.max_rows, args.shards, args.processes, args.ray)
    report = run(form, source, job, options)
    published = {} if args.max_rows else data_set.published_rows(form, splits_by)
    published = {split: rows for split, rows in published.items() if not args.splits or split in args.splits}
    print(report.table(time.monotonic() - started, published))
    print(f"wrote {args.out}; rejected rows and their sources: {args.out / 'rejects.jsonl'}")
    empty = [str(split["split"]) for split in report.splits if not split["written"]]
    if empty or not report.splits:
        hint = _missing_image(args.out) if any("image_missing" in report.rejected.get(s, {}) for s in empty) else ""
        raise SystemExit(f"all rows of {', '.join(empty) or 'the source'} were rejected; rejects.jsonl says why{hint}")


def _check_reward(data_source: str) -> None:
    from reward_fns.auto import reward_of

    try:
        reward_of(data_source)
    except ValueError as error:
        raise SystemExit(f"{error}; or add it to ROUTES of reward_fns/auto.py, or set --keep-unearnable") from None


def _missing_image(out: Path) -> str:
    """Return the end of the message about rows whose images were not found, with the first of them."""
    rejects = map(json.loads, (out / "rejects.jsonl").read_text(encoding="utf-8").splitlines())
    name = next(reject["detail"] for reject in rejects if reject["reason"] == "image_missing")
    return f"\nimages were not found, such as {name}; set --image-root to the folder that holds them"


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
    if data_set.add_options:
        data_set.add_options(parser)
    names = ", ".join(TEMPLATES)
    default = data_set.template or "boxed, or r1 for boxes"
    add("--template", metavar="NAME", help=f"{names} or a text file (default {default})")
    add("--system", type=Path, metavar="FILE", help="text of a system message (default: the template's own)")
    add("--images", choices=("embed", "path"), default="embed", help="bytes in the parquet, or paths (default embed)")
    add("--image-budget", type=_positive, metavar="PIXELS", help="scale larger images down (default: no image is)")
    add("--min-side", type=_positive, default=1, metavar="PIXELS", help="reject smaller images (default: none is)")
    add("--exclude", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help="no row with their images")
    add("--keep-unearnable", action="store_true", help="keep rows whose gold answer their reward does not accept")
    add("--splits", nargs="+", default=[], metavar="SPLIT", help="convert only these (default: all)")
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
