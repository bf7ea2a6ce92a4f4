"""The images and videos of a run's parquet files, looked at without their bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig


def check_files(config: DictConfig, key: str, takes_videos: bool) -> list[str]:
    """The rows' images and videos, read without their bytes."""
    files = config.data.get(key)
    if files is None:
        return [f"data.{key}: got nothing, expected a parquet file; set data.{key}"]
    problems = []
    for file in [files] if isinstance(files, str) else list(files):
        path = Path(str(file)).expanduser()
        if "://" in str(file) or path.suffix != ".parquet":
            continue  # remote, or a format that verl reads and this check does not
        if not path.is_file():
            problems.append(f"data.{key}: got {file}, expected a file that exists; set data.{key}")
            continue
        try:
            found = _check_images(path, config) if config.data.get("require_images") else []
            found += [] if takes_videos else _check_no_videos(path, config)
        except (pa.ArrowException, OSError) as error:
            problems.append(
                f"data.{key}: got {file}, which cannot be read as parquet ({' '.join(str(error).split())}), expected a "
                f"whole file; write it again, or set data.{key}"
            )
        else:
            problems += [f"data.{key}: {file}: {problem}" for problem in found]
    return problems


def _check_images(path: Path, config: DictConfig) -> list[str]:
    image_key = config.data.get("image_key", "images")
    images = _cells(path, image_key)
    if images is None:
        found = ", ".join(pq.ParquetFile(path).schema_arrow.names)
        return [
            f"got columns {found}, expected a column {image_key!r}; set data.image_key, or data.require_images=false"
        ]
    without = [row for row, value in enumerate(images) if not value]
    if not without:
        return []
    return [
        f"got {len(without)} of {len(images)} rows without an image ({_rows(without)}), expected an image in every "
        "row; leave these rows out, or set data.require_images=false to train on them as text"
    ]


def _check_no_videos(path: Path, config: DictConfig) -> list[str]:
    videos = _cells(path, config.data.get("video_key", "videos")) or []
    rows = [row for row, value in enumerate(videos) if value]
    if not rows:
        return []
    return [
        f"got {len(rows)} of {len(videos)} rows with a video ({_rows(rows)}), expected images alone, which saei can "
        "attack; leave these rows out"
    ]


def _cells(path: Path, column: str) -> list | None:
    """A column's values, of structs their lightest field alone; None if there is no such column."""
    file = pq.ParquetFile(path)
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    leaves = [leaf for leaf in paths if leaf.split(".")[0] == column]
    if not leaves:
        return None
    lightest = next((leaf for leaf in leaves if leaf.endswith(".path")), leaves[0])
    return file.read(columns=[lightest]).column(column).to_pylist()


def _rows(rows: list[int]) -> str:
    return "rows " + ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
