"""Columns of a run's parquet files: those that verl and the reward read, and whose columns a foreign file has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

LAYOUTS = {
    "EasyR1's": {"problem", "answer"},
    "ms-swift's": {"messages"},
    "LLaVA's or VLM-R1's": {"conversations"},
    "those of questions": {"question", "answer"},
}
"""Whose columns they are: columns by which a file of another framework is known."""

_CONVERT = "python -m data_prep jsonl --source {} --out data/mine"
CONVERSIONS = {
    "ms-swift's": f"{_CONVERT} --question messages.0.content --answer messages.1.content --image images",
    "LLaVA's or VLM-R1's": f"{_CONVERT} --question conversations.0.value --answer conversations.1.value --image image",
    "those of questions": f"{_CONVERT} --question question --answer answer --image image",
}
"""Command that converts a layout; the others need no options."""


def reads_gold(config: DictConfig) -> bool:
    """Tell whether the run's rewards read ``data_source`` and ``reward_model.ground_truth`` of each row."""
    if OmegaConf.select(config, "reward.reward_manager.source") != "register":
        return False  # a reward manager of the user's
    by_model = OmegaConf.select(config, "reward.reward_model.enable")
    return not by_model or bool(OmegaConf.select(config, "reward.custom_reward_function.path"))


def check_columns(path: Path, config: DictConfig) -> list[str]:
    """Check that a file has the columns that verl and the reward read, with a value in each row."""
    if OmegaConf.select(config, "data.custom_cls.path"):
        return []  # a data set class of the user's
    file, prompt = pq.ParquetFile(path), str(config.data.get("prompt_key", "prompt"))
    schema = file.schema_arrow
    needed = [prompt, *(("data_source", "reward_model") if reads_gold(config) else ())]
    missing = [name for name in needed if name not in schema.names]
    if missing:
        return [_missing_columns(path, schema.names, missing, prompt)]
    problems = []
    if not _holds_messages(schema.field(prompt).type):
        problems.append(
            f"got {prompt!r} of type {_short(schema.field(prompt).type)}, expected a list of messages "
            "{role, content}, the chat of which verl makes the prompt; write it as such, or set data.prompt_key"
        )
    for column in needed:
        problems += _check_values(file, column, "ground_truth" if column == "reward_model" else None)
    return problems


def _check_values(file: pq.ParquetFile, column: str, field: str | None) -> list[str]:
    """Report rows without a value in a column, or in a field of it."""
    kind, name = file.schema_arrow.field(column).type, f"{column}.{field}" if field else column
    if field and not (pa.types.is_struct(kind) and kind.get_field_index(field) >= 0):
        return [
            f"got {column} of type {_short(kind)}, expected a struct with {field}, the gold answer; write it as such"
        ]
    values = file.read(columns=[lightest_leaf(file, name)]).column(column).combine_chunks()
    if field:
        values = pc.struct_field(values, [field])  # pyright: ignore[reportAttributeAccessIssue]
    if not values.null_count:
        return []
    rows = [row for row, value in enumerate(values.is_valid().to_pylist()) if not value]
    return [f"got {len(rows)} of {len(values)} rows without {name} ({row_numbers(rows)}), expected one in every row; "
            "leave these rows out, or write it"]  # fmt: skip


def _missing_columns(path: Path, names: list[str], missing: list[str], prompt: str) -> str:
    whose = next((whose for whose, columns in LAYOUTS.items() if columns <= set(names)), None)
    got = f"columns {', '.join(names)}"
    expected = f"{', '.join(missing)} too, which verl reads"
    if prompt in missing and "prompt" in names and prompt != "prompt":
        return f"got {got}, expected a column {prompt!r}; set data.prompt_key=prompt"
    if whose is None:
        return f"got {got}, expected {expected}; write them (docs/data.md has what each holds), or set data.prompt_key"
    command = CONVERSIONS.get(whose, _CONVERT).format(path)
    return f"got {got}, which are {whose}, expected {expected}; convert it: {command}"


def _holds_messages(kind: pa.DataType) -> bool:
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return False
    message: Any = kind.value_type
    return pa.types.is_struct(message) and {"role", "content"} <= {field.name for field in message}


def _short(kind: pa.DataType) -> str:
    text = str(kind)
    return text if len(text) <= 60 else f"{text[:57]}..."


def lightest_leaf(file: pq.ParquetFile, name: str) -> str:
    """Return the path of the leaf with the fewest bytes, of a column or of a field of one."""
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    sizes = {
        file.schema.column(i).path: sum(group.column(i).total_uncompressed_size for group in groups)
        for i in range(len(file.schema))
    }
    leaves = [leaf for leaf in sizes if leaf == name or leaf.startswith(f"{name}.")]
    return min(leaves, key=sizes.__getitem__)


def row_numbers(rows: list[int]) -> str:
    """Return the first numbers of rows as text, for a message."""
    return "rows " + ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
