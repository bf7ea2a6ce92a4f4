"""Stage: VEPO's counterfactual and SaEI's attack on a tiny model, the device's numbers against the CPU's float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor
from verl.utils import tensordict_utils as tu

from gpu.device import move_inputs, verl_works_on
from gpu.line import Line
from gpu.tiny import build_engine, micro_batch, packed_rows
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest, adversarial_images
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS

SHARPNESS = 4  # scale of the random model's projection, for entropies of 2 to 5 nats
LENGTHS = [6, 9, 4, 2]  # tokens per response, two responses for each of two prompts
NOISE = Counterfactual("gaussian", 2.0, seed=3, step=5)
ATTACK = AttackRequest(SaEIConfig(alpha=1, steps=2), seed=1, step=2)  # steps of 2 overshoot on random weights


def measure(device: str) -> Iterator[Line]:
    for rows, packing in (("padded", nullcontext), ("packed", packed_rows)):
        with packing():
            reference = Hooks("cpu", torch.float32, rows)
            for dtype in (torch.float32, torch.bfloat16):
                yield from compare(Hooks(device, dtype, rows), reference, f"{rows}, {str(dtype).partition('.')[2]}")


class Hooks:
    """Results of both hooks, moved to the CPU.

    Attributes:
        signals: name -> (N,) float32, the counterfactual's signals of every token.
        pixels: (bytes,) uint8, the attacked images.
        statistics: (B, 3) float32: H_sel before and after in nats, mean change of a pixel in levels.
    """

    def __init__(self, device: str, dtype: torch.dtype, rows: str):
        engine = build_engine(SHARPNESS)
        data, _, _ = micro_batch(engine.model_config.processor, [1] * len(LENGTHS), LENGTHS, temperature=0.7)
        tu.assign_non_tensor(data, use_remove_padding=rows == "packed")
        request = data.clone(recurse=False)
        tu.assign_non_tensor(request, **{REQUEST: NOISE})
        engine.module.to(device, dtype)
        engine._autocast_dtype = dtype
        move_inputs(engine.module, device, dtype)
        with verl_works_on(device):
            with torch.no_grad():
                signals = engine.forward_step(request, None, forward_only=True)[1]["model_output"]
            self.signals: dict[str, Tensor] = {name: value.values().float().cpu() for name, value in signals.items()}
            attacked = adversarial_images(engine, data, ATTACK)["model_output"]
        self.pixels: Tensor = attacked[PIXELS].values().cpu()
        self.statistics: Tensor = attacked[STATISTICS].cpu()

    def rise(self) -> float:
        """Rise of H_sel by the attack in nats, mean over the rows."""
        return (self.statistics[:, 1] - self.statistics[:, 0]).mean().item()


# Largest error of a signal (norm of the difference over all tokens, relative to the norm of the signal), and smallest
# share of equal pixels. The attack takes the sign of a gradient, which near zero depends on rounding: single pixels
# differ, with bf16 more of them. On a CPU, bf16 is off by 4.2%, and 86% of its pixels are equal.
LIMITS = {"float32": (1e-3, 0.98), "bfloat16": (0.1, 0.75)}


def compare(result: Hooks, reference: Hooks, name: str) -> Iterator[Line]:
    limit, least = LIMITS[name.rpartition(" ")[2]]
    errors = {
        key: ((result.signals[key] - expected).norm() / expected.norm()).item()
        for key, expected in reference.signals.items()
    }
    is_ok = all(error < limit for error in errors.values())  # nan is not
    raw = {f"error_{key}": error for key, error in errors.items()}
    worst = max(errors, key=errors.__getitem__)
    yield Line(f"counterfactual, {name}", f"off by {errors[worst]:.2%} ({worst})", f"< {limit:.1%}", is_ok, raw=raw)
    same = (result.pixels == reference.pixels).float().mean().item()
    rise, rise_on_cpu = result.rise(), reference.rise()
    yield Line(
        f"attack, {name}",
        f"{same:.1%} of the pixels as on the CPU; H_sel {rise:+.4f} nats, on the CPU {rise_on_cpu:+.4f}",
        f">= {least:.0%}, and a rise",
        same >= least and rise > 0,
        raw={"equal_pixels": same, "rise_nats": rise, "rise_nats_cpu": rise_on_cpu},
    )
