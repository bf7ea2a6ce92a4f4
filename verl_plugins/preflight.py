"""Checks of a composed run that would otherwise fail late, or not at all. Imports neither verl, ray nor vllm."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from reward_fns import auto, boxed, grounding, math
from verl_plugins.config import AGENT_LOOP, IMAGE_LOOP, INTERNVL_CONFIG, SECOND_LOOPS, TRAINER_MODE
from verl_plugins.health.config import health_from_node
from verl_plugins.methods import METHODS
from verl_plugins.methods.config import config_from_node
from verl_plugins.methods.saei import SaEIConfig

REWARDS = (auto, boxed, grounding, math)

MODEL_HOOKS = {  # methods that reach into the model: the strategies of verl's engine that they can, and why
    "vepo": (("fsdp", "fsdp2"), "reads the hidden states of verl's FSDP engine"),
    "saei": (("fsdp2",), "takes gradients to the images alone, through verl's FSDP2 engine"),
}


def check_run(config: DictConfig) -> list[str]:
    """Everything in the run's config and data that its methods cannot work with.

    Args:
        config: verl's composed config (``ppo_trainer``).

    Returns:
        One line a problem: what, got, expected, which key to set. Empty when the run can start.
    """
    methods = [name for name in METHODS if OmegaConf.select(config, f"algorithm.{name}") is not None]
    return [
        *_check_knobs(config, methods),
        *_check_trainer(config, methods),
        *_check_micro_batches(config),
        *_check_reward(config),
        *_check_model(config),
        *_check_health(config),
        *(_check_saei(config) if "saei" in methods else ()),
        *_check_files(config, "train_files", takes_videos="saei" not in methods),
        *_check_files(config, "val_files", takes_videos=True),
    ]


def _check_knobs(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []
    for name in methods:
        try:
            config_from_node(METHODS[name][0], config.algorithm[name], f"algorithm.{name}")
        except ValueError as error:
            problems.append(str(error))
    return problems


def _check_trainer(config: DictConfig, methods: list[str]) -> list[str]:
    problems = []

    def expect(key: str, accepted, expected: str) -> None:
        got = OmegaConf.select(config, key)
        if not accepted(got):
            problems.append(f"{key}: got {got}, expected {expected}; set {key}")

    expect("trainer.use_v1", lambda got: got is True, "true (the methods are stages of verl's V1 trainer)")
    expect("trainer.v1.trainer_mode", lambda got: got == TRAINER_MODE, f"{TRAINER_MODE}, which +method sets")
    expect("algorithm.adv_estimator", lambda got: got == "grpo" or got in METHODS, f"grpo or {', '.join(METHODS)}")
    estimator = config.algorithm.adv_estimator
    if estimator in METHODS and estimator not in methods:
        problems.append(
            f"algorithm.{estimator}: got nothing, expected its settings; start the run with +method={estimator}"
        )
    if methods:
        bypass = "algorithm.rollout_correction.bypass_mode"
        expect(bypass, lambda got: not got, "false (bypass mode computes neither old log-probs nor entropy)")
        expect("actor_rollout_ref.rollout.n", lambda got: got >= 2, ">= 2 responses in a group")
    readers = {name: hook for name, hook in MODEL_HOOKS.items() if name in methods}
    for name, (strategies, hook) in readers.items():
        actor, reads = "actor_rollout_ref.actor", f"({name} {hook})"
        expect(f"{actor}.strategy", strategies.__contains__, f"{' or '.join(strategies)} {reads}")
        expect(f"{actor}.ulysses_sequence_parallel_size", lambda got: got == 1, f"1 {reads}")
        expect("actor_rollout_ref.model.use_fused_kernels", lambda got: not got, f"false {reads}")
    if config.actor_rollout_ref.actor.get("freeze_vision_tower"):
        why = "(the vision tower is frozen weight by weight, which FSDP2 alone shards)"
        expect("actor_rollout_ref.actor.strategy", lambda got: got == "fsdp2", f"fsdp2 {why}")
        why = "(LoRA trains adapters alone; keep them out of the tower by actor_rollout_ref.model.exclude_modules)"
        expect("actor_rollout_ref.model.lora_rank", lambda got: not got, f"0 with freeze_vision_tower {why}")
    if "vepo" in methods:
        key = "actor_rollout_ref.actor.loss_agg_mode"
        expect(key, lambda got: got == "token-mean", "token-mean, for which vepo's weights are made")
    return problems


def _check_micro_batches(config: DictConfig) -> list[str]:
    """Fixed micro-batches must divide what a rank is given; verl asserts it in the middle of the first step."""
    models, problems = config.actor_rollout_ref, []
    ranks = config.trainer.nnodes * config.trainer.n_gpus_per_node // models.actor.ulysses_sequence_parallel_size
    prompts = {
        "rollout.log_prob_micro_batch_size_per_gpu": config.data.get("gen_batch_size") or config.data.train_batch_size,
        "actor.ppo_micro_batch_size_per_gpu": models.actor.ppo_mini_batch_size,
    }
    for name, number in prompts.items():
        part, _, knob = name.partition(".")
        is_dynamic = models.actor.use_dynamic_bsz if part == "actor" else models.rollout.log_prob_use_dynamic_bsz
        rows, micro = number * models.rollout.n, models[part].get(knob)
        if micro and not is_dynamic and rows % ranks == 0 and rows // ranks % micro:
            problems.append(
                f"actor_rollout_ref.{name}: got {micro}, expected a divisor of {rows // ranks} ({number} prompts x "
                f"{models.rollout.n} responses on {ranks} ranks); set actor_rollout_ref.{name}, or "
                f"actor_rollout_ref.actor.use_dynamic_bsz=true"
            )
    return problems


def _check_reward(config: DictConfig) -> list[str]:
    """The settings of this package's own rewards, which would else be an error of every response."""
    custom = OmegaConf.select(config, "reward.custom_reward_function")
    if custom is None or not custom.path or custom.name != "compute_score":
        return []
    path = str(custom.path)
    known = {f"pkg://{module.__name__}": module for module in REWARDS}
    module = known.get(path) or next(
        (each for each in REWARDS if Path(str(each.__file__)) == Path(path).resolve()), None
    )
    if module is None:
        return []
    settings = OmegaConf.to_container(custom.get("reward_kwargs") or OmegaConf.create(), resolve=True)
    try:
        module.settings_of(**settings)  # pyright: ignore[reportCallIssue]
    except ValueError as problem:
        return [str(problem)]
    return []


def _check_model(config: DictConfig) -> list[str]:
    """What InternVL needs of this package, and settings of the image processor that would go unheard."""
    problems = []
    model, loop = config.actor_rollout_ref.model, config.actor_rollout_ref.rollout.agent.get("default_agent_loop")
    if _model_type(str(model.path)) == "internvl":
        if model.get("_target_") != INTERNVL_CONFIG:
            problems.append(
                f"actor_rollout_ref.model._target_: got {model.get('_target_')}, expected {INTERNVL_CONFIG} (verl does "
                "not load InternVL's processor); set actor_rollout_ref.model._target_"
            )
        if loop not in (IMAGE_LOOP, AGENT_LOOP):
            problems.append(
                f"actor_rollout_ref.rollout.agent.default_agent_loop: got {loop}, expected {IMAGE_LOOP} or "
                f"{AGENT_LOOP} for InternVL; set actor_rollout_ref.rollout.agent.default_agent_loop"
            )
    given = {"min_pixels", "max_pixels"} & set(config.data.get("mm_processor_kwargs") or {})
    if len(given) == 1:
        problems.append(
            f"data.mm_processor_kwargs: got {given.pop()} alone, expected min_pixels and max_pixels (vLLM counts with "
            "one of them, Transformers resizes with both or neither); set data.mm_processor_kwargs"
        )
    return problems


def _model_type(path: str) -> str:
    """Of a folder by its config, of a name on the Hub by the name."""
    config = Path(path).expanduser() / "config.json"
    if config.is_file():
        return json.loads(config.read_text()).get("model_type", "")
    return "internvl" if "internvl" in path.lower() else ""


def _check_health(config: DictConfig) -> list[str]:
    try:
        health_from_node(config.trainer.get("health") or {})
    except ValueError as error:
        return [str(error)]
    return []


def _check_saei(config: DictConfig) -> list[str]:
    """What only a run with a second sampling has to keep to."""
    problems = []
    rollout = config.actor_rollout_ref.rollout
    try:
        saei = config_from_node(SaEIConfig, config.algorithm.saei, "algorithm.saei")
    except ValueError:
        return []  # told by _check_knobs
    if rollout.n != saei.n1 + saei.n2:
        problems.append(
            f"algorithm.saei.n1 + n2: got {saei.n1} + {saei.n2}, expected actor_rollout_ref.rollout.n = {rollout.n}; "
            "set algorithm.saei.n1 and n2, or actor_rollout_ref.rollout.n"
        )
    if saei.alpha == 0:
        problems.append(
            "algorithm.saei.alpha: got 0, which changes no image, expected 1 to 255 levels of 8-bit pixels; "
            "set algorithm.saei.alpha, or start the run with +method=grpo"
        )
    loop = rollout.agent.get("default_agent_loop")
    if loop not in SECOND_LOOPS:
        problems.append(
            f"actor_rollout_ref.rollout.agent.default_agent_loop: got {loop}, expected {' or '.join(SECOND_LOOPS)} "
            "(saei samples again single-turn); set actor_rollout_ref.rollout.agent.default_agent_loop"
        )
    if OmegaConf.select(config, "algorithm.filter_groups.enable"):
        problems.append(
            "algorithm.filter_groups.enable: got true, expected false (groups are filtered before saei has sampled the "
            "second half of them); set algorithm.filter_groups.enable"
        )
    if OmegaConf.select(config, "skip.rollout_tq.enable"):
        problems.append(
            "skip.rollout_tq.enable: got true, expected false (replayed responses have no prompts to sample again); "
            "set skip.rollout_tq.enable"
        )
    return problems


def _check_files(config: DictConfig, key: str, takes_videos: bool) -> list[str]:
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
        if config.data.get("require_images"):
            problems += [f"data.{key}: {file}: {problem}" for problem in _check_images(path, config)]
        if not takes_videos:
            problems += [f"data.{key}: {file}: {problem}" for problem in _check_no_videos(path, config)]
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
