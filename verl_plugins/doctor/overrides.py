"""The doctor on a run: its overrides, its platform, and a sample of its data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from verl_plugins.doctor.doctor_check import DoctorCheck


def check_overrides(overrides: Sequence[str]) -> list[DoctorCheck]:
    """Compose the run that the overrides describe from verl's own config, and check it."""
    from verl_plugins.compose import compose_run, problems_of
    from verl_plugins.preflight.installation import check_installation

    try:
        config = compose_run(overrides)
    except Exception as error:
        return [
            DoctorCheck("overrides", " ".join(str(error).split()), "overrides that Hydra can compose", "correct them")
        ]
    problems = [*_check_platform(overrides), *check_installation(config), *problems_of(config)]
    if problems:
        return [DoctorCheck("overrides", problem, "a run that can start", "see there") for problem in problems]
    return [DoctorCheck("overrides", f"a run with {', '.join(overrides)}", "a run that can start"), *check_rows(config)]


def check_rows(config: DictConfig) -> list[DoctorCheck]:
    """Check a sample of the rows of each parquet file, as the run's model will see them."""
    from verl_plugins.doctor.sampled_rows import Reader

    try:
        reader = Reader(config)
    except Exception as error:  # of Transformers, the Hub or the file system
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return [
            DoctorCheck("model", got, "a tokenizer and a processor", "set actor_rollout_ref.model.path to a folder")
        ]
    checks = []
    if reader.patch_size not in (None, config.data.image_patch_size):
        expected = f"{reader.patch_size}, the processor's"
        checks.append(
            DoctorCheck("patch size", str(config.data.image_patch_size), expected, "set data.image_patch_size")
        )
    for key in ("train_files", "val_files"):
        files = config.data[key]
        for file in [files] if isinstance(files, str) else files:
            if not file.endswith(".parquet") or "://" in file:
                continue
            rows = reader.read(Path(file).expanduser())
            checks.append(DoctorCheck(f"data.{key} {file}", str(rows), "rows that can be read"))
            for problem, (row, count) in rows.problems.items():
                got = f"{count} rows, the first row {row}: {problem}"
                checks.append(
                    DoctorCheck(f"data.{key} {file}", got, "none such", "leave them out, or change what is named")
                )
    return checks


def _check_platform(overrides: Sequence[str]) -> list[str]:
    if not any(override.lstrip("+").startswith("platform=cpu") for override in overrides):
        return []
    from verl_plugins.platforms import cpu

    return [f"{what}: got {got}, expected {expected}; {fix}" for what, got, expected, fix in cpu.missing_requirements()]
