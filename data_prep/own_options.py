"""The options of `python -m data_prep jsonl`, which say what the fields of the user's own rows hold."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep.data_set import DataSet
    from data_prep.raw_forms.named_fields import NamedFields
    from data_prep.raw_forms.raw_form import Source

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,60}")
_SCALES = {"pixels": None, "0-1000": 1000.0, "0-1": 1.0}
_BY_FIELD = ("question", "expression", "answer", "box", "image", "choices", "id")


def add_own_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to the parser of the converter."""
    group = parser.add_argument_group("fields of the rows", "FIELD may be a dotted path")
    asked = group.add_mutually_exclusive_group()
    asked.add_argument("--question", metavar="FIELD", help="the whole question")
    asked.add_argument(
        "--expression", metavar="FIELD", help="what to find; the row asks for its box in RefCOCO's words"
    )
    answered = group.add_mutually_exclusive_group()
    answered.add_argument("--answer", metavar="FIELD", help="an answer that a rule can check")
    answered.add_argument("--box", metavar="FIELD", help="a box, a list of boxes, or [] for no object")
    add = group.add_argument
    add("--box-format", choices=("xyxy", "xywh"), help="two corners, or a corner, width and height")
    add("--box-space", choices=_SCALES, help="unit of the boxes: pixels, or parts of the image's sides")
    add("--image", metavar="FIELD", action="append", default=[], help="path, bytes, base64, or a list; may be repeated")
    add("--choices", metavar="FIELD", help="choices of a multiple-choice question")
    add("--id", metavar="FIELD", help="id of the row (default: its place in the file)")
    add("--name", default="own", help="of the data: data_source is math/NAME or grounding/NAME (default %(default)s)")
    add("--val-fraction", type=float, metavar="SHARE", help="draw validation rows, whose images train has not")


def with_own_options(data_set: DataSet, source: Source, args: argparse.Namespace) -> tuple[DataSet, Source]:
    """Return the data set with the name, ability and template that the options mean, and the source with its fields.

    Raises:
        SystemExit: the options do not fit together, or the fields are not in the files.
    """
    from data_prep.raw.tables import SUFFIXES
    from data_prep.raw_forms.named_fields import OwnTables, tables_with

    if not _NAME.fullmatch(args.name):
        raise SystemExit(f"--name: got {args.name!r}, expected letters, digits and _ . + -")
    if args.val_fraction is not None and not 0 < args.val_fraction < 1:
        raise SystemExit(f"--val-fraction: got {args.val_fraction}, expected a number between 0 and 1")
    named = _named_fields(args)
    tables = [path for path in source.files.plain(*SUFFIXES) if _is_own(path, source.path, args.out)]
    files, fields = tables_with(tables, named)
    ability, template = ("math", "boxed") if fields.box is None else ("grounding", "r1")
    own = OwnTables(tuple(files), fields, args.val_fraction, args.seed)
    return replace(data_set, name=f"{ability}/{args.name}", ability=ability, template=template), replace(
        source, own=own
    )


def _is_own(path: Path, root: Path, out: Path) -> bool:
    """Return whether a table belongs to the source: not to --image-root alone, nor to an earlier run's output."""
    from data_prep.raw.tables import may_be_table

    if path == root.absolute():
        return True
    is_output = path.is_relative_to(out.absolute()) and not root.absolute().is_relative_to(out.absolute())
    return path.is_relative_to(root.absolute()) and not is_output and may_be_table(path)


def _named_fields(args: argparse.Namespace) -> NamedFields | None:
    """Return the fields that the options name; None if they name none."""
    from data_prep.raw_forms.named_fields import NamedFields

    given = [f"--{option}" for option in _BY_FIELD if getattr(args, option)]
    box_options = [f"--{name}" for name in ("box-format", "box-space") if getattr(args, name.replace("-", "_"))]
    if not given and not box_options:
        return None
    text = args.question or args.expression
    if not (text and (args.answer or args.box) and args.image):
        raise SystemExit(
            f"got {', '.join([*given, *box_options])}, expected --question or --expression, --answer or --box, and "
            "--image; or none of them, for EasyR1's and verl's columns"
        )
    if args.box and len(box_options) < 2:
        raise SystemExit(
            "--box: got it without --box-format and --box-space, expected both, since no rule can tell them from the "
            "numbers; set --box-format xyxy or xywh, and --box-space pixels, 0-1000 or 0-1"
        )
    if args.answer and (box_options or args.expression):
        wrong = ", ".join([*box_options, *(["--expression"] if args.expression else [])])
        raise SystemExit(f"{wrong}: got it with --answer, expected it with --box alone; set --box, or leave it out")
    if args.box and args.choices:
        raise SystemExit("--choices: got it with --box, expected it with --answer; leave it out")
    return NamedFields(
        text=text,
        answer=args.answer,
        images=tuple(args.image),
        is_expression=args.expression is not None,
        box=args.box,
        box_format=args.box_format,
        box_scale=_SCALES[args.box_space] if args.box else None,
        choices=args.choices,
        id=args.id,
    )
