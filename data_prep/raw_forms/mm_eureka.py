"""MM-Eureka-Dataset: JSON lines of conversations, whose images are in zip archives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep.raw.files import Files
from data_prep.raw.json_files import json_lines
from data_prep.raw_forms.raw_form import RawForm, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import from_json, text_of
from data_prep.types import RawRow, RejectedRow, Rejection, Sample, raw_row

BLANK = "blank_image.jpg"  # the image of rows that have text only


def _conversation_form(name: str, field: str, about: str) -> RawForm:
    """Build the form whose rows have their conversation in this field."""

    def files(source: Source) -> list[Path]:
        return [path for path in source.files.plain(".jsonl") if _first_has(path, field)]

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in files(source):
            for where, row in json_lines(path):
                if isinstance(row, Rejection):
                    yield RejectedRow("train", where, row)
                else:
                    yield _question_row(row, field, where, source.files)

    return RawForm(name, about, lambda source: bool(files(source)), list_rows, read_mm_eureka)


def _first_has(path: Path, field: str) -> bool:
    rows = (row for _, row in json_lines(path) if not isinstance(row, Rejection))
    return field in next(rows, {})


def _question_row(row: dict[str, Any], field: str, where: str, files: Files) -> RawRow:
    """Build a raw row with the fields id, question, answer and images, or reject and detail if it cannot be read."""
    id, answer = text_of(row.get("id")), row.get("answer")
    message = _user_message(row.get(field))
    if isinstance(message, Rejection):
        return raw_row("train", where, {"reject": message.reason, "detail": message.detail}, where)
    question, names = message
    if row.get("image_urls") is not None:
        names = row["image_urls"] if isinstance(row["image_urls"], list) else [row["image_urls"]]
    names = [text_of(name) for name in names]
    images = [files.locate(name) for name in names if PurePosixPath(name).name != BLANK]
    if not images:
        question = question.replace("<image>", "")
    fields = {"id": id or where, "question": question, "answer": answer, "images": images}
    return raw_row("train", where, fields, "|".join(names) or where, same=(id, question, text_of(answer), *names))


def _user_message(conversation: Any) -> tuple[str, list[str]] | Rejection:
    """Return the text of the only user message, with an <image> tag for each image in it, and the images' names."""
    try:
        turns = from_json(conversation)
        messages = [turn["content"] for turn in turns if turn["role"] == "user"]
    except (ValueError, TypeError, KeyError) as error:
        return Rejection("conversation_malformed", f"{error!r}"[:200])
    if len(messages) != 1:
        return Rejection("conversation_malformed", f"{len(messages)} messages of a user, expected 1")
    if isinstance(messages[0], str):
        return messages[0], []
    text, names = "", []
    for part in messages[0] if isinstance(messages[0], list) else []:
        part = part if isinstance(part, dict) else {"text": part}
        name = part.get("image", part.get("image_url"))
        if name is None:
            text += text_of(part.get("text"))
        else:
            text += "<image>"
            names.append(text_of(name.get("url") if isinstance(name, dict) else name))
    return text, names


def read_mm_eureka(raw: dict[str, Any]) -> Sample | Rejection:
    """Read one question."""
    if "reject" in raw:
        return Rejection(raw["reject"], raw["detail"])
    return question_sample(raw["id"], raw["question"], raw["answer"], raw["images"])


V1 = _conversation_form(
    "v1", "conversations", "dataset.jsonl with conversations and image_urls, beside its zip archives, packed or not"
)
QWEN = _conversation_form("qwen", "message", "JSON lines whose message holds the chat and file:// images as JSON")
