"""Which fields of the user's own tables hold question, answer and images: named by options, or of a known layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from data_prep.raw.field_paths import field_at, fields_text, has_field
from data_prep.raw.tables import may_have_field, table_rows
from data_prep.row.boxes import gold_boxes
from data_prep.row.texts import text_of
from data_prep.types import Rejection

_LOOKED_AT = 100  # first rows of each file, by which its fields are told


@dataclass(frozen=True)
class NamedFields:
    """Dotted paths of the fields that make a row.

    Args:
        text: the question, or the expression of an object.
        is_expression: whether `text` only describes the object, so that the row asks for its box in RefCOCO's words.
        answer: the answer; None if the answer is boxes.
        box: the box or boxes; None if the answer is a text.
        box_format: "xyxy" (two corners) or "xywh" (a corner, width and height); None without `box`.
        box_scale: length of an image's side in the unit of the boxes: 1 or 1000; None for pixels.
        images: the images, in the order of their tags.
        choices: the choices of a multiple-choice question; None if there are none.
        id: the id; None to name rows by their place.
    """

    text: str
    answer: str | None
    images: tuple[str, ...]
    is_expression: bool = False
    box: str | None = None
    box_format: str | None = None
    box_scale: float | None = None
    choices: str | None = None
    id: str | None = None

    def by_option(self) -> dict[str, str]:
        """Return the fields by the option that names each, for messages."""
        fields = {"--expression" if self.is_expression else "--question": self.text, "--answer": self.answer}
        fields |= {"--box": self.box, "--choices": self.choices, "--id": self.id}
        named = {option: path for option, path in fields.items() if path is not None}
        return named | {f"--image ({number})": path for number, path in enumerate(self.images, 1)}

    def paths(self) -> tuple[str, ...]:
        """Return the paths of all fields."""
        return tuple(self.by_option().values())

    def texts(self) -> tuple[str, ...]:
        """Return the paths of the fields that hold no images."""
        return tuple(path for path in self.paths() if path not in self.images)


LAYOUTS = {  # whose they are: the fields
    "EasyR1's": NamedFields(text="problem", answer="answer", images=("images",)),
    "verl's": NamedFields(text="extra_info.question", answer="reward_model.ground_truth", images=("images",)),
}


@dataclass(frozen=True)
class OwnTables:
    """The user's tables, and how to read their rows.

    Args:
        files: the tables, in order.
        fields: their fields.
        val_fraction: share of the rows of `train` that become `val`; None if the files' names tell the splits.
        seed: of the draw of these rows.
    """

    files: tuple[Path, ...]
    fields: NamedFields
    val_fraction: float | None = None
    seed: int = 0


def tables_with(files: Iterable[Path], fields: NamedFields | None) -> tuple[list[Path], NamedFields]:
    """Return the files that have the named fields, or those of a known layout, and print what was recognised.

    Args:
        files: the tables of the source.
        fields: what the user named; None to recognise a layout.

    Raises:
        SystemExit: there are no tables, or no file has the fields; the message has the fields that there are.
    """
    first = {path: _first_rows(path) for path in files}
    if not first:
        raise SystemExit(
            "--source: got no table, expected a file or a folder with .jsonl, .json (a list, or an object a line), "
            ".csv or .parquet"
        )
    known = {"named": fields} if fields else LAYOUTS
    for whose, layout in known.items():
        having = [path for path, rows in first.items() if not _missing(path, rows, layout, in_all=bool(fields))]
        if having:
            if fields is None:
                _refuse_boxes(having[0], first[having[0]], layout)
                options = ", ".join(f"{option.split()[0]} {path}" for option, path in layout.by_option().items())
                print(f"{having[0].name} has {whose} columns: {options}")
            for path in (path for path in first if path not in having):
                missing = ", ".join(_missing(path, first[path], layout, in_all=bool(fields)).values())
                print(f"{path} is not read: it has no field {missing}")
            return having, layout
    path, rows = next(iter(first.items()))
    if fields:
        missing = _missing(path, rows, fields, in_all=True)
        wrong = ", ".join(f"{option.split()[0]} {name}" for option, name in missing.items())
        raise SystemExit(f"{path}: got {wrong}, expected fields of the file; {fields_text(rows, missing.values())}")
    layouts = "; ".join(f"{whose} {', '.join(layout.paths())}" for whose, layout in LAYOUTS.items())
    raise SystemExit(
        f"{path}: got no known columns ({layouts}), so name the fields: --question or --expression, --answer or --box, "
        f"and --image; {fields_text(rows)}"
    )


def _refuse_boxes(path: Path, rows: list[dict[str, Any]], layout: NamedFields) -> None:
    """Refuse answers that are boxes, which would be compared as texts."""
    answers = (text_of(field_at(row, layout.answer or "")) for row in rows)
    box = next((answer for answer in answers if gold_boxes(answer)), None)
    if box:
        raise SystemExit(
            f"{path}: got the answer {box[:80]}, expected a text; if the answers are boxes, name the fields, with "
            f"--box {layout.answer}, --box-format and --box-space, and otherwise with --answer {layout.answer}"
        )


def _first_rows(path: Path) -> list[dict[str, Any]]:
    """Return the first rows of a table that can be read.

    Raises:
        SystemExit: none of them can, so that the file is not what its name says.
    """
    rows = list(islice(table_rows(path), _LOOKED_AT))
    readable = [row.fields for row in rows if isinstance(row.fields, dict)]
    if rows and not readable:
        where, why = rows[0].where, rows[0].fields
        assert isinstance(why, Rejection)
        raise SystemExit(f"{path}: got no row that can be read ({where}: {why.detail}); mend the file, or move it away")
    return readable


def _missing(path: Path, rows: list[dict[str, Any]], fields: NamedFields, in_all: bool) -> dict[str, str]:
    """Return the fields that no row of a table has, by option.

    Args:
        path: the table.
        rows: its first rows.
        fields: the fields.
        in_all: whether to look into all rows for those that the first ones lack.
    """
    missing = {option: name for option, name in fields.by_option().items() if not has_field(rows, name)}
    sought = [name for name in missing.values() if in_all and may_have_field(path, name)]
    for row in table_rows(path, tuple(sought)) if sought else ():
        if isinstance(row.fields, dict):
            missing = {option: name for option, name in missing.items() if not has_field([row.fields], name)}
        if not any(name in sought for name in missing.values()):
            break
    return missing
