"""Images and videos in a run's parquet files, checked without reading their bytes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig


def check_files(config: DictConfig, key: str, refuse_videos: list[str]) -> list[str]:
    """Check that the files exist, can be read, and hold the images that the run needs.

    Args:
        key: "train_files" or "val_files".
        refuse_videos: methods of the run that cannot use rows with videos.
    """
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
            file_problems = _check_images(path, config) if config.data.get("require_images") else []
            file_problems += _check_no_videos(path, config, refuse_videos) if refuse_videos else []
        except (pa.ArrowException, OSError) as error:
            problems.append(
                f"data.{key}: got {file}, which cannot be read as parquet ({' '.join(str(error).split())}), expected a "
                f"whole file; write it again, or set data.{key}"
            )
        else:
            problems += [f"data.{key}: {file}: {problem}" for problem in file_problems]
    return problems


def _check_images(path: Path, config: DictConfig) -> list[str]:
    image_key = config.data.get("image_key", "images")
    images = _cells(path, image_key)
    if images is None:
        columns = ", ".join(pq.ParquetFile(path).schema_arrow.names)
        return [
            f"got columns {columns}, expected a column {image_key!r}; set data.image_key, or data.require_images=false"
        ]
    without = [row for row, value in enumerate(images) if not value]
    if not without:
        return []
    return [
        f"got {len(without)} of {len(images)} rows without an image ({_rows(without)}), expected an image in every "
        "row; leave these rows out, or set data.require_images=false to train on them as text"
    ]


def _check_no_videos(path: Path, config: DictConfig, methods: list[str]) -> list[str]:
    videos = _cells(path, config.data.get("video_key", "videos")) or []
    rows = [row for row, value in enumerate(videos) if value]
    if not rows:
        return []
    return [
        f"got {len(rows)} of {len(videos)} rows with a video ({_rows(rows)}), expected images alone, the only "
        f"input that {', '.join(methods)} can change; leave these rows out"
    ]


def _cells(path: Path, column: str) -> list | None:
    """Read a column's values, of structs the lightest field alone; None if there is no such column."""
    file = pq.ParquetFile(path)
    paths = [file.schema.column(i).path for i in range(len(file.schema))]
    leaves = [leaf for leaf in paths if leaf.split(".")[0] == column]
    if not leaves:
        return None
    lightest = next((leaf for leaf in leaves if leaf.endswith(".path")), leaves[0])
    return file.read(columns=[lightest]).column(column).to_pylist()


def _rows(rows: list[int]) -> str:
    return "rows " + ", ".join(map(str, rows[:5])) + (", ..." if len(rows) > 5 else "")
