"""The run of the stage `training`, and what it has to log.

The demo's reasoning start is trained by all three methods, with verl's own defaults wherever the CPU platform sets
something else: bf16, CUDA graphs, torch.compile, vLLM asleep while the actor trains, weights over CUDA IPC. Then the
run is resumed. With flash-attn the rows are packed, without it padded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gpu.line import Line
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.demo.watchdog import RunFailed, run_watched
from verl_plugins.preflight.installation import WITHOUT_FLASH_ATTN
from verl_plugins.report.metrics import load_metrics
from verl_plugins.report.run_files import merge_attempts

TASK = TASKS["reasoning"]
METHODS = ("ecvgpo", "vepo", "saei")
STEPS = 3
LIMIT_S = 420.0  # of a start: it imports in ten processes one after another, compiles, and captures CUDA graphs
MOST_DISTANCE = 0.05  # mean distance of the sampled tokens' probabilities, both engines in bf16; set before any run
ONE_CARD = (
    "+ray_kwargs.ray_init.address=local",  # joins no Ray cluster that runs on this machine
    "+ray_kwargs.ray_init.include_dashboard=false",
    "trainer.n_gpus_per_node=1",
    "trainer.nnodes=1",
    "actor_rollout_ref.actor.strategy=fsdp2",
    "actor_rollout_ref.rollout.name=vllm",
    "actor_rollout_ref.rollout.tensor_model_parallel_size=1",
    "actor_rollout_ref.rollout.gpu_memory_utilization=0.3",
    "actor_rollout_ref.rollout.agent.num_workers=1",
    "reward.num_workers=1",
)
OVERRIDES = (
    "algorithm.ecvgpo.delta=9",  # every group is reshaped
    "algorithm.ecvgpo.r0=-50",
    "algorithm.saei.update=adversarial",
    "trainer.val_before_train=false",
    "trainer.test_freq=-1",
    "trainer.save_freq=1",
    "actor_rollout_ref.actor.checkpoint.save_contents=[model,optimizer,extra]",
)


def train(folder: Path, device: str, has_flash_attn: bool) -> Iterator[Line]:
    """Train, then start again from the last checkpoint for a step more."""
    platform = ["+platform=cpu"]
    if device == "cuda":
        platform = [*ONE_CARD, *([] if has_flash_attn else WITHOUT_FLASH_ATTN.split())]
    run_dir = folder / "run"
    run_dir.mkdir()
    assets = ensure_demo_assets(folder / "data", TASK)
    seconds = []
    for steps in (STEPS, STEPS + 1):
        command = training_command(*assets, run_dir, TASK, f"[{','.join(METHODS)}]", steps, OVERRIDES, platform)
        start = time.monotonic()
        env = {"VERL_PLATFORM": "cpu"} if device == "cpu" else {}
        try:
            run_watched(command, run_dir / "train.log", env=env, limit_s=LIMIT_S)
        except RunFailed as failure:
            print(failure)  # goes to the stage's log
            last = str(failure).splitlines()[-1]
            yield Line(f"training to step {steps}", last[:300], "ends by itself", is_ok=False)
            break
        seconds.append(time.monotonic() - start)
    merge_attempts(run_dir)
    if not (run_dir / "metrics.jsonl").is_file():  # the failure's line is all there is
        return
    logged = load_metrics(run_dir / "metrics.jsonl").steps
    yield from lines_of({step["step"]: step for step in logged if "timing_s/step" in step}, seconds)


def lines_of(metrics: Mapping[int, Mapping[str, Any]], seconds: list[float]) -> Iterator[Line]:
    """Compare what each step logged with what a working stack logs."""
    steps = [metrics[step] for step in sorted(metrics)]
    if not steps:
        return
    times = [step["timing_s/step"] for step in steps]
    starts = " and ".join(f"{start:.0f} s" for start in seconds) or "none"
    yield Line(
        "steps",
        f"{', '.join(map(str, sorted(metrics)))}; starts that came to their end: {starts}; "
        f"a step took {min(times):.1f} to {max(times):.1f} s",
        f"1 to {STEPS}, and {STEPS + 1} from the checkpoint",
        sorted(metrics) == list(range(1, STEPS + 2)),
        raw={"starts_seconds": sum(seconds), "shortest_step_seconds": min(times)},
    )
    for name, what in (
        ("training/rollout_probs_diff_mean", "probabilities of the sampled tokens, vLLM's against the actor's"),
        ("saei/log_prob_mismatch_clean", "log-probabilities, clean images"),
        ("saei/log_prob_mismatch_adversarial", "log-probabilities, images that SaEI changed"),
    ):
        values = [step[name] for step in steps]
        yield Line(
            what,
            ", ".join(f"{value:.4f}" for value in values),
            f"<= {MOST_DISTANCE} in each step: vLLM has the new weights and the same pixels",
            all(value <= MOST_DISTANCE for value in values),  # max() would pass over a NaN
            raw={f"{name}/{index}": value for index, value in enumerate(values)},
        )
    yield holds("ECVGPO reshaped tokens", steps, "ecvgpo/reshaped_tokens", lambda step, value: value > 0, "> 0")
    yield holds("VEPO's share of tokens", steps, "vepo/selected_tokens", lambda step, v: 0.2 <= v < 0.3, "0.2 to 0.3")
    yield holds(
        "VEPO's divergence of the kept tokens, nats",
        steps,
        "vepo/jsd_kept",
        lambda step, value: value > step["vepo/jsd_dropped"] > 0,
        "above the dropped ones'",
    )
    yield holds(
        "SaEI's entropy of the attacked tokens, nats",
        steps,
        "saei/selective_entropy_adversarial",
        lambda step, value: value > step["saei/selective_entropy_clean"],
        "above the clean ones'",
    )
    peak = max(step["actor/perf/max_memory_allocated_gb"] for step in steps)
    yield Line("the actor's peak memory", f"{peak:.2f} GiB", raw={"peak_bytes": peak * 2**30})


def holds(what: str, steps: list[Mapping[str, Any]], name: str, is_ok: Any, expected: str) -> Line:
    """Make the line of a metric that has to meet ``is_ok(step, value)`` in each step."""
    values = [step[name] for step in steps]
    met = all(is_ok(step, value) for step, value in zip(steps, values, strict=True))
    raw = {f"{name}/{index}": value for index, value in enumerate(values)}
    return Line(what, ", ".join(f"{value:.3g}" for value in values), expected, met, raw=raw)
