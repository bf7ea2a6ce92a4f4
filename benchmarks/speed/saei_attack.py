"""SaEI's attack on the demo's trained model: entropy gained, time and memory.

    PYTHONPATH=benchmarks:tests/support python -m speed.saei_attack [--task grounding] [--prompts 32] [--rounds 5]

Runs in this process, without verl's workers: 6 responses are sampled for each prompt, and the engine attacks the
prompts' images. Prints three Markdown tables: the entropy of the selected tokens before and after the attack, by band,
direction and step size; the seconds of the attack and of verl's own log-prob forward over the same responses, in
interleaved rounds; and the memory that autograd keeps for the backward.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

os.environ["VERL_PLATFORM"] = "cpu"  # before verl is imported

import torch
from bare_engine import bare_engine, sampled_rows, worker_batch
from tensordict import TensorDict
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
from verl.utils import tensordict_utils as tu
from verl.utils.model import extract_multi_modal_inputs
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from verl_plugins.components.requests import REQUEST
from verl_plugins.demo.assets import ensure_demo_assets
from verl_plugins.demo.tasks import TASKS
from verl_plugins.methods.saei import attack as adversarial
from verl_plugins.methods.saei.attack import AttackRequest, only_pixels_take_gradient
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import STATISTICS

RESPONSES = 6
MICRO_BATCH = 32
ATTACKS = [
    *({"band": band} for band in ("middle", "all", "top", "bottom", "random")),
    {"band": "middle", "direction": "random"},
    {"band": "all", "direction": "random"},
    *({"band": "middle", "alpha": alpha} for alpha in (1, 4, 8)),
    {"band": "middle", "steps": 4},
    {"band": "middle", "alpha": 8, "direction": "random"},
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=list(TASKS), default="grounding")
    parser.add_argument("--prompts", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    model_dir, data_dir = ensure_demo_assets(Path(".cache/demo"), TASKS[arguments.task])
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(model_dir, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(model_dir)
    engine = bare_engine(model, processor, MICRO_BATCH)
    rows = sampled_rows(model, processor, data_dir / "val.parquet", arguments.prompts, RESPONSES)
    data = worker_batch(rows, processor)
    print(
        entropy_table(engine, data), cost_table(engine, data, arguments.rounds), memory_table(engine, data), sep="\n\n"
    )


def attack(engine: Any, data: TensorDict, **settings) -> torch.Tensor:
    """Attack the images of B responses.

    Returns:
        (B, 3): entropy of the selected tokens before and after in nats, mean change of a pixel in levels.
    """
    request = data.clone(recurse=False)
    tu.assign_non_tensor(request, **{REQUEST: AttackRequest(SaEIConfig(**settings), seed=0, step=1)})
    with torch.no_grad():
        return engine.forward_backward_batch(request, None, forward_only=True)["model_output"][STATISTICS]


def entropy_table(engine: Any, data: TensorDict) -> str:
    lines = [
        "| band | direction | alpha | steps | H_sel clean | adversarial | change | prompts raised | pixel change |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for settings in ATTACKS:
        config = SaEIConfig(**settings)
        before, after, change = attack(engine, data, **settings).double().unbind(dim=1)
        by_prompt = (after - before).view(-1, RESPONSES).mean(dim=1)
        lines.append(
            f"| {config.band} | {config.direction} | {config.alpha} | {config.steps} | {before.mean():.4f} | "
            f"{after.mean():.4f} | {100 * (after.mean() / before.mean() - 1):+.1f}% | "
            f"{(by_prompt > 0).double().mean():.2f} | {change.mean():.2f} |"
        )
    return "\n".join(lines)


def cost_table(engine: Any, data: TensorDict, rounds: int) -> str:
    def log_probs() -> None:
        request = data.clone(recurse=False)
        tu.assign_non_tensor(request, calculate_entropy=True)
        with torch.no_grad():
            for micro_batch in adversarial._micro_batches(engine, request)[0]:
                FSDPEngineWithLMHead.forward_step(engine, micro_batch, None, forward_only=True)

    versions: dict[str, Callable[[], Any]] = {
        "verl's log-prob forward": log_probs,
        "attack, one step": lambda: attack(engine, data),
        "random signs": lambda: attack(engine, data, direction="random"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in versions}
    for _ in range(rounds + 1):  # the first warms up
        for name, version in versions.items():
            start = time.perf_counter()
            version()
            seconds[name].append(time.perf_counter() - start)
    base = median(seconds["verl's log-prob forward"][1:])
    lines = [f"| {len(data)} responses | seconds (median) | to the log-prob forward |", "|---|---|---|"]
    for name, times in seconds.items():
        lines.append(f"| {name} | {median(times[1:]):.3f} | {median(times[1:]) / base:.2f} |")
    return "\n".join(lines)


def memory_table(engine: Any, data: TensorDict) -> str:
    """Table of the bytes of the distinct tensors that autograd saves in one forward, without parameters."""
    parameters = {parameter.untyped_storage().data_ptr() for parameter in engine.module.parameters()}
    micro_batch = adversarial._micro_batches(engine, data.clone(recurse=False))[0][0]
    model_inputs, _ = engine.prepare_model_inputs(micro_batch=micro_batch)
    model_inputs |= extract_multi_modal_inputs(list(micro_batch["multi_modal_inputs"]))

    def saved(run: Callable[[], Any]) -> float:
        sizes: dict[int, int] = {}

        def note(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                sizes[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)  # otherwise a freed address would be reused and count once
            return tensor

        kept: list[torch.Tensor] = []
        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            run()
        return sum(sizes.values()) / 2**20 / len(micro_batch)

    def training() -> Any:
        return engine.module(**model_inputs, use_cache=False).logits.log_softmax(-1)

    def attacking() -> None:
        with only_pixels_take_gradient(engine):
            attack(engine, micro_batch)

    lines = ["| forward | saved for the backward, MiB a response |", "|---|---|"]
    lines += [f"| {name} | {saved(run):.2f} |" for name, run in (("training", training), ("attack", attacking))]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
