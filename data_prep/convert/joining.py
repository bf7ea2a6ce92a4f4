"""Joins the finished parts of a run into one shard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from data_prep.atomic import replacing
from data_prep.convert.parquet_groups import RowGroups
from data_prep.convert.parts import REJECTS
from data_prep.convert.summary import SplitReport

if TYPE_CHECKING:
    import pyarrow as pa


def join(parts: list[Path], shard: Path, folder: Path, counts: SplitReport) -> list[str]:
    """Write the row groups of `parts` to `shard`, whole or not at all, and add what they hold to `counts`.

    Args:
        parts: files that `data_prep.convert.parts.write_part` wrote.
        shard: the file to write.
        folder: for the temporary file; a run that is killed leaves it there.
        counts: changed in place.

    Returns:
        The lines of rejects.jsonl that the parts kept.
    """
    import pyarrow.parquet as pq

    lines: list[str] = []

    def tables() -> Iterator[pa.Table]:
        for part in parts:
            with pq.ParquetFile(part) as file:
                lines.extend(json.loads(file.metadata.metadata[REJECTS]))
                for number in range(file.num_row_groups):
                    table = file.read_row_group(number)
                    _count(table, counts)
                    yield table

    with replacing(shard, folder) as temporary, RowGroups(temporary) as groups:
        groups.add_groups(tables())
    counts.files[shard.name] = shard.stat().st_size
    return lines


def _count(table: pa.Table, counts: SplitReport) -> None:
    import pyarrow.compute as pc

    counts.written += len(table)
    hashes = table.column("extra_info").combine_chunks().field("image_sha256").to_pylist()
    images = table.column("images").combine_chunks()
    sizes = pc.call_function("binary_length", [images.flatten().field("bytes")]).to_pylist()
    counts.images.update(zip(" ".join(hashes).split(), sizes, strict=True))
