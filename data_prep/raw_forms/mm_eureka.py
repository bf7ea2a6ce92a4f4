"""MM-Eureka-Dataset: JSON lines of conversations, whose images lie in zip archives with roots of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from data_prep.raw.files import Files
from data_prep.raw.json_files import json_lines
from data_prep.raw_forms.raw_form import Format, Source
from data_prep.row.question_sample import question_sample
from data_prep.row.texts import from_json, text_of
from data_prep.types import RawRow, Reject, RejectedRow, Sample, raw_row

BLANK = "blank_image.jpg"  # stands for "no image" in rows of text only


def _conversation_format(name: str, field: str, about: str) -> Format:
    """The form whose rows hold their conversation in this field."""

    def files(source: Source) -> list[Path]:
        return [path for path in source.files.plain(".jsonl") if _first_has(path, field)]

    def list_rows(source: Source) -> Iterator[RawRow | RejectedRow]:
        for path in files(source):
            for where, row in json_lines(path):
                if isinstance(row, Reject):
                    yield RejectedRow("train", where, row)
                else:
                    yield _question_row(row, field, where, source.files)

    return Format(name, about, lambda source: bool(files(source)), list_rows, read_mm_eureka)


def _first_has(path: Path, field: str) -> bool:
    rows = (row for _, row in json_lines(path) if not isinstance(row, Reject))
    return field in next(rows, {})


def _question_row(row: dict[str, Any], field: str, where: str, files: Files) -> RawRow:
    """The raw row `{id, question, answer, images}`; what cannot be read in the conversation stands under "reject"."""
    id, answer = text_of(row.get("id")), row.get("answer")
    said = _user_message(row.get(field))
    if isinstance(said, Reject):
        return raw_row("train", where, {"reject": said.reason, "detail": said.detail}, where)
    question, names = said
    if row.get("image_urls") is not None:
        names = row["image_urls"] if isinstance(row["image_urls"], list) else [row["image_urls"]]
    names = [text_of(name) for name in names]
    images = [files.locate(name) for name in names if PurePosixPath(name).name != BLANK]
    if not images:
        question = question.replace("<image>", "")
    fields = {"id": id, "question": question, "answer": answer, "images": images}
    return raw_row("train", where, fields, "|".join(names) or where, same=(id, question, text_of(answer), *names))


def _user_message(conversation: Any) -> tuple[str, list[str]] | Reject:
    """Text of the one message by a user, with a tag for each image in its parts, and the names of these images."""
    try:
        turns = from_json(conversation)
        messages = [turn["content"] for turn in turns if turn["role"] == "user"]
    except (ValueError, TypeError, KeyError) as error:
        return Reject("conversation_malformed", f"{error!r}"[:200])
    if len(messages) != 1:
        return Reject("conversation_malformed", f"{len(messages)} messages of a user, expected 1")
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


def read_mm_eureka(raw: dict[str, Any]) -> Sample | Reject:
    """The sample of one question."""
    if "reject" in raw:
        return Reject(raw["reject"], raw["detail"])
    return question_sample(raw["id"], raw["question"], raw["answer"], raw["images"])


V1 = _conversation_format(
    "v1", "conversations", "dataset.jsonl with conversations and image_urls, beside its zip archives, packed or not"
)
QWEN = _conversation_format("qwen", "message", "JSON lines whose message holds the chat and file:// images as JSON")
