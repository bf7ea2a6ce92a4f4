"""Host time of perturbing one micro-batch for VEPO: noise drawn on the host, or on the model's device.

    PYTHONPATH=benchmarks python -m speed.vepo_noise [--images 8] [--rounds 5]

torch's "meta" device, which computes nothing, stands in for the GPU. What remains is the host's work: comparing the
rows' images and launching the operations. The copy to a GPU, about 23 MB per image, is not included. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import time
from statistics import median
from types import SimpleNamespace
from unittest import mock

import torch
from transformers import Qwen2VLImageProcessor

from speed.vepo_signals import hardware
from verl_plugins.components import counterfactual
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.vision.perturb import PERTURBATIONS

SIDES = (980, 1008)  # of a megapixel image, multiples of 28


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8, help="one per prompt (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{arguments.images} images of {SIDES[0]} x {SIDES[1]} pixels, Qwen2.5-VL, {hardware('cpu')}\n")
    print("| perturbation | drawn on the host, ms | the host's part of drawing on a device, ms | times less |")
    print("|---|---|---|---|")
    for kind in PERTURBATIONS:
        host, launched = (
            median(timed(kind, device, arguments.images) for _ in range(arguments.rounds)) for device in ("cpu", "meta")
        )
        print(f"| {kind} | {host * 1e3:.0f} | {launched * 1e3:.1f} | {host / launched:.0f} |")


def timed(kind: str, device: str, images: int) -> float:
    """Seconds of ``perturbed_images`` for two responses to each of ``images`` prompts."""
    grid = torch.tensor([[1, SIDES[0] // 14, SIDES[1] // 14]])
    inputs = [
        {"pixel_values": torch.full((int(grid.prod()), 1176), 0.1 * row), "image_grid_thw": grid}
        for row in range(images)
        for _ in range(2)
    ]
    micro_batch = {
        "multi_modal_inputs": inputs,
        "index": [row // 2 for row in range(2 * images)],
        "uid": [f"prompt{row // 2}" for row in range(2 * images)],
    }
    processor = SimpleNamespace(image_processor=Qwen2VLImageProcessor(patch_size=14, merge_size=2))
    engine = SimpleNamespace(model_config=SimpleNamespace(processor=processor))
    request = Counterfactual(kind, PERTURBATIONS[kind].default, seed=1, step=1)
    with mock.patch.object(counterfactual, "get_device_id", lambda: device):
        start = time.perf_counter()
        counterfactual.perturbed_images(engine, micro_batch, request)  # pyright: ignore[reportArgumentType]
        return time.perf_counter() - start


if __name__ == "__main__":
    main()
