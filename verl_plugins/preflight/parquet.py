"""A run's data files: that they are there, with the columns, images and rows that the run needs. Reads no image."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from verl_plugins.preflight.columns import check_columns, lightest_leaf, row_numbers
from verl_plugins.preflight.reward import check_sources

FORMATS = (".parquet", ".json", ".jsonl")
"""Endings of the files that verl's data set class reads."""


def check_files(config: DictConfig, key: str, refuse_videos: list[str]) -> list[str]:
    """Check that the files exist, can be read, and hold the images that the run needs.

    Args:
        key: "train_files" or "val_files".
        refuse_videos: methods of the run that cannot use rows with videos.
    """
    files = files_of(config, key)
    if not files:
        return [f"data.{key}: got nothing, expected a parquet file; set data.{key}"]
    problems = []
    for file in files:
        if "://" in file:
            continue  # remote
        if problem := _check_place(file, config):
            problems.append(f"data.{key}: got {problem}; set data.{key}")
            continue
        path = Path(file).expanduser()
        if path.suffix != ".parquet":
            continue  # a format that verl reads and this check does not
        try:
            file_problems = check_columns(path, config)
            if not file_problems:
                file_problems = _check_images(path, config) if config.data.get("require_images") else []
                file_problems += _check_no_videos(path, config, refuse_videos) if refuse_videos else []
                file_problems += check_sources(path, config)
        except (pa.ArrowException, OSError) as error:
            problems.append(
                f"data.{key}: got {file}, which cannot be read as parquet ({' '.join(str(error).split())}), expected a "
                f"whole file; write it again, or set data.{key}"
            )
        else:
            problems += [f"data.{key}: {file}: {problem}" for problem in file_problems]
    return problems


def check_batches(config: DictConfig) -> list[str]:
    """Check that the training files fill one batch; verl leaves out an incomplete one, and fails if none is left."""
    files = files_of(config, "train_files")
    paths = [Path(file).expanduser() for file in files]
    if any(
        "://" in file or path.suffix != ".parquet" or not path.is_file()
        for file, path in zip(files, paths, strict=True)
    ):
        return []  # rows that this check cannot count, or a problem of check_files
    if not files or OmegaConf.select(config, "data.custom_cls.path") or _fetches_single_prompts(config):
        return []
    try:
        rows = sum(pq.read_metadata(path).num_rows for path in paths)
    except (pa.ArrowException, OSError):
        return []  # reported by check_files
    limit = config.data.get("train_max_samples", -1)
    drawn = f", of which data.train_max_samples={limit} are drawn" if 0 < limit < rows else ""
    key = "data.gen_batch_size" if config.data.get("gen_batch_size") else "data.train_batch_size"
    batch, left = OmegaConf.select(config, key), min(limit, rows) if limit > 0 else rows
    if batch <= left:
        return []
    return [
        f"{key}: got {batch}, expected at most {left}, since data.train_files have {rows} rows{drawn} (verl leaves out "
        f"an incomplete batch, and there is no other); set {key}, or use more rows"
    ]


def files_of(config: DictConfig, key: str) -> list[str]:
    """Return the files of ``data.<key>``, as they are named."""
    files = config.data.get(key)
    return [] if not files else [files] if isinstance(files, str) else [str(file) for file in files]


def _check_place(file: str, config: DictConfig) -> str | None:
    """Return what is wrong with a file's place or name, as got and expected; None if nothing is."""
    path = Path(file).expanduser()
    if path.is_dir():
        held = sorted(each.name for each in path.rglob("*.parquet"))[:5]
        return f"the folder {file}, expected its files" + (f", e.g. {file.rstrip('/')}/{held[0]}" if held else "")
    if not path.is_file():
        return f"{file}, expected a file that exists"
    if path.suffix not in FORMATS and not OmegaConf.select(config, "data.custom_cls.path"):
        return f"{file}, expected a name that ends in {', '.join(FORMATS)}, by which verl chooses how to read it"
    return None


def _fetches_single_prompts(config: DictConfig) -> bool:
    """Tell whether verl's trainer draws prompts one by one, and begins again wherever the rows end."""
    return (
        OmegaConf.select(config, "trainer.v1.trainer_mode") in ("colocate_async", "separate_async")
        or bool(OmegaConf.select(config, "algorithm.filter_groups.enable"))
        or bool(OmegaConf.select(config, "trainer.v1.sampler.sync_refill_failed_groups"))
    )


def _check_images(path: Path, config: DictConfig) -> list[str]:
    image_key = config.data.get("image_key", "images")
    images = _cells(path, image_key)
    if images is None:
        names = pq.ParquetFile(path).schema_arrow.names
        near = next((f"={name}" for name in ("images", "image") if name in names), "")
        return [
            f"got columns {', '.join(names)}, expected a column {image_key!r}; set data.image_key{near}, or "
            "data.require_images=false"
        ]
    without = [row for row, value in enumerate(images) if not value]
    if not without:
        return []
    return [
        f"got {len(without)} of {len(images)} rows without an image ({row_numbers(without)}), expected an image in "
        "every row; leave these rows out, or set data.require_images=false to train on them as text"
    ]


def _check_no_videos(path: Path, config: DictConfig, methods: list[str]) -> list[str]:
    videos = _cells(path, config.data.get("video_key", "videos")) or []
    rows = [row for row, value in enumerate(videos) if value]
    if not rows:
        return []
    return [
        f"got {len(rows)} of {len(videos)} rows with a video ({row_numbers(rows)}), expected images alone, the only "
        f"input that {', '.join(methods)} can change; leave these rows out"
    ]


def _cells(path: Path, column: str) -> list | None:
    """Read a column's values, of structs the lightest field alone; None if there is no such column."""
    file = pq.ParquetFile(path)
    if column not in file.schema_arrow.names:
        return None
    return file.read(columns=[lightest_leaf(file, column)]).column(column).to_pylist()
