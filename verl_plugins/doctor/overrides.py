"""The doctor on a run: its overrides, its platform, this machine, and a sample of its data."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from omegaconf import DictConfig

from verl_plugins.doctor.doctor_check import DoctorCheck, compared, problem


def check_overrides(words: Sequence[str]) -> list[DoctorCheck]:
    """Compose the run that overrides, a recipe or a command describe from verl's own config, and check it."""
    from verl_plugins.compose import problems_of
    from verl_plugins.compose.named_run import named_run
    from verl_plugins.doctor.machine import check_gpus_of_run
    from verl_plugins.doctor.versions import check_flash_attn
    from verl_plugins.preflight.counts import check_counts
    from verl_plugins.preflight.installation import check_installation, uses_flash_attn

    try:
        _, config = named_run(words)
    except ValueError as error:
        return [problem(str(error))]
    lines = [*_check_platform(words), *check_installation(config), *problems_of(config)]
    checks = [] if check_counts(config) else check_gpus_of_run(config)
    if lines:
        return [*checks, *map(problem, lines)]
    if uses_flash_attn(config) and find_spec("flash_attn"):
        checks.append(check_flash_attn())
    checks.append(DoctorCheck("overrides", f"overrides: a run with {', '.join(words)}"))
    return [*checks, *check_rows(config)]


def check_rows(config: DictConfig) -> list[DoctorCheck]:
    """Check a sample of the rows of each parquet file, as the run's model and its reward will see them."""
    from verl_plugins.doctor.box_scale import BoxScale
    from verl_plugins.doctor.golds import gold_checks
    from verl_plugins.doctor.sampled_rows import Reader
    from verl_plugins.preflight.parquet import files_of

    try:
        reader = Reader(config)
    except Exception as error:  # of Transformers, the Hub or the file system
        got = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return [compared("model", got, "a tokenizer and a processor", "set actor_rollout_ref.model.path to a folder")]
    checks = []
    if reader.patch_size not in (None, config.data.image_patch_size):
        expected = f"{reader.patch_size}, the processor's"
        checks.append(compared("patch size", str(config.data.image_patch_size), expected, "set data.image_patch_size"))
    try:
        golds = gold_checks(config)
    except Exception as error:  # of the user's module
        cause = error.__cause__ or error
        got = " ".join(f"{type(cause).__name__}: {cause}".split())[:200]
        fix = "correct it, or set reward.custom_reward_function.path"
        return [*checks, compared("reward", got, "a reward function that can be imported", fix)]
    boxes = BoxScale(config, reader.processor, reader.model_type)
    for key in ("train_files", "val_files"):
        for file in files_of(config, key):
            if not file.endswith(".parquet") or "://" in file:
                continue
            what = f"data.{key} {file}"
            rows = reader.read(Path(file).expanduser(), [boxes, *([golds] if golds else [])])
            checks.append(DoctorCheck(what, f"{what}: {rows}"))
            for text, (row, count) in rows.problems.items():
                finding = rows.findings[text]
                particular = f" ({finding.particular})" if finding.particular else ""
                got = f"{count} rows, the first row {row}{particular}: {text}"
                checks.append(compared(what, got, "none such", finding.fix, finding.level))
    if golds and (summary := golds.summary()):
        checks.append(summary)
    return checks


def _check_platform(words: Sequence[str]) -> list[str]:
    if not any(word.lstrip("+").startswith("platform=cpu") for word in words):
        return []
    from verl_plugins.platforms import cpu

    return [f"{what}: got {got}, expected {expected}; {fix}" for what, got, expected, fix in cpu.missing_requirements()]
