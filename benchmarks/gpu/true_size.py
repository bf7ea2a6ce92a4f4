"""Stage: a micro-batch at Qwen2.5-VL-3B's sizes with random weights, without FSDP: time, and memory beside the plan.

It has eight packed rows with a one-megapixel image each, and torch's attention and cross-entropy in place of
flash-attn's. On a CPU it has two rows, the demo's tiny model, and no memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from bare_engine import Row, bare_engine, worker_batch
from PIL import Image
from tensordict import TensorDict
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText, Qwen2VLImageProcessor
from verl.utils import tensordict_utils as tu

from gpu.device import GIB, Cost, measured, move_inputs, verl_works_on
from gpu.line import Line
from gpu.tiny import as_built, packed_rows
from verl_plugins.components.counterfactual import Counterfactual, perturbed_images
from verl_plugins.components.requests import REQUEST
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_config, build_processor
from verl_plugins.methods.saei.attack import AttackRequest, adversarial_images
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.plan import memory
from verl_plugins.plan.models import CONFIGS
from verl_plugins.plan.shape import shape_of_config
from verl_plugins.plan.workload import Workload
from verl_plugins.training.engine import EntropyEngine
from verl_plugins.training.frozen_vision import FrozenVisionEngine

MODEL = "Qwen/Qwen2.5-VL-3B-Instruct"
# Height and width of the images, number of rows, tokens per response. On a GPU an image has 0.99 megapixels and 1,260
# tokens, and all rows have 12,200 tokens: a micro-batch of the recipes.
SIZES = {"cuda": (980, 1008, 8, 250), "cpu": (112, 84, 2, 6)}
OVER_PLAN = 1.2  # a peak above this multiple of the plan fails: the tolerance of benchmarks/memory/plan.py
NOISE_SHARE = 0.1  # time for drawing the noise, as a share of VEPO's forwards


def measure(device: str) -> Iterator[Line]:
    with packed_rows(), verl_works_on(device):
        run = TrueSize(device)
        yield run.size()
        yield from run.vepo()
        yield run.saei()
        yield run.update()


class TrueSize:
    """The model, its engine, and a micro-batch on the host, where verl's workers get it."""

    def __init__(self, device: str):
        self.device = device
        height, width, rows, response = SIZES[device]
        processor = build_processor(TASKS["grounding"])
        processor.image_processor = Qwen2VLImageProcessor(
            patch_size=14, merge_size=2, min_pixels=3136, max_pixels=1_000_000
        )
        config: Any = (true_config if device == "cuda" else build_config)(processor.tokenizer)
        with torch.device(device):
            self.model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16).eval()
        move_inputs(self.model, device, torch.bfloat16)
        self.engine = bare_engine(self.model, processor, rows)
        self.engine._autocast_dtype = torch.bfloat16
        self.data = random_rows(processor, height, width, rows, response)
        self.tokens = int(self.data["input_ids"].offsets()[-1])
        self.shape = shape_of_config(config)
        self.load = Workload(
            gpus=1,
            gpus_of_a_node=1,
            weight_bytes=2,
            tokens=self.tokens,
            log_prob_tokens=self.tokens,
            image_pixels=height * width,
            is_vision_frozen=True,
            fused_kernels=False,
        )

    def size(self) -> Line:
        """Size of the model and the micro-batch that the other lines measure."""
        parameters = sum(parameter.numel() for parameter in self.model.parameters())
        figure = f"{parameters / 1e9:.2f} billion parameters, {len(self.data)} rows, {self.tokens:,} tokens"
        return Line("the micro-batch", figure, raw={"parameters": parameters, "tokens": self.tokens})

    def vepo(self) -> Iterator[Line]:
        """Measure the clean and the perturbed forward, and drawing Gaussian noise alone."""
        images = self.data.to(self.device)
        gaussian = Counterfactual("gaussian", 2.0, seed=1, step=1)
        noise = second_time(self.device, lambda: perturbed_images(self.engine, images, gaussian))
        request = self.data.clone(recurse=False)
        tu.assign_non_tensor(request, **{REQUEST: Counterfactual("zero", 1.0, seed=1, step=1)})
        with torch.no_grad():
            forwards = second_time(self.device, lambda: self.engine.forward_step(request, None, forward_only=True))
        planned = memory.forward(self.shape, replace(self.load, has_second_forward=True))
        yield self.line("VEPO's two forwards", forwards, planned)
        yield Line(
            f"VEPO's gaussian noise of {len(self.data)} images",
            f"{noise.seconds * 1e3:.0f} ms, {noise.seconds / forwards.seconds:.1%} of the forwards",
            f"<= {NOISE_SHARE:.0%} of the forwards" if self.device == "cuda" else "",
            noise.seconds <= NOISE_SHARE * forwards.seconds if self.device == "cuda" else None,
            raw={"seconds": noise.seconds},
        )

    def saei(self) -> Line:
        """Measure an attack of one step: forward, backward to the pixels, forward."""
        self.checkpointed(EntropyEngine)
        request = AttackRequest(SaEIConfig(steps=1), seed=1, step=1)
        data = self.data.clone(recurse=False)
        cost = second_time(self.device, lambda: adversarial_images(self.engine, data, request))
        return self.line("SaEI's attack", cost, memory.attack(self.shape, self.load))

    def update(self) -> Line:
        """Measure forward and backward of the log-probabilities, with a frozen vision tower.

        Gradients exist from the first call on, which is not measured.
        """
        self.checkpointed(FrozenVisionEngine)
        self.model.train()

        def loss(model_output: dict[str, Tensor], data: TensorDict, dp_group: Any) -> tuple[Tensor, dict]:
            return -model_output["log_probs"].values().mean(), {}

        def step() -> None:
            self.engine.forward_step(self.data, loss, forward_only=False)[0].backward()

        cost = second_time(self.device, step)
        return self.line("update, vision tower frozen", cost, memory.update(self.shape, self.load))

    def checkpointed(self, engine_class: type[EntropyEngine]) -> None:
        """Prepare the model as the recipes do, for this engine."""
        self.engine.model_config.enable_gradient_checkpointing = True
        self.model.gradient_checkpointing_enable({"use_reentrant": False})
        as_built(self.engine, engine_class)

    def line(self, what: str, cost: Cost, planned: memory.Phase) -> Line:
        """Make the line of a measurement, with the plan's parts except what FSDP gathers: there is no FSDP here."""
        plan = sum(size for part, size in planned.items() if not part.startswith("gathered"))
        figure, raw = f"{cost.seconds * 1e3:.0f} ms", {"seconds": cost.seconds, "planned_bytes": float(plan)}
        if cost.peak_bytes is None:
            return Line(what, figure, raw=raw)
        return Line(
            what,
            f"{figure}, {cost.peak_bytes / GIB:.2f} GiB above the weights",
            f"plan: {plan / GIB:.2f} GiB; <= {OVER_PLAN:g} of it",
            cost.peak_bytes <= OVER_PLAN * plan,
            raw={**raw, "peak_bytes": float(cost.peak_bytes)},
        )


def true_config(tokenizer: Any) -> Any:
    """Config of the recipes' model with the token ids of the demo's tokenizer."""
    model_type, sizes = CONFIGS[MODEL]
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}
    tiny: Any = build_config(tokenizer)
    ids = {name: getattr(tiny, name) for name in ("image_token_id", "video_token_id", "vision_start_token_id")}
    text = {**sizes["text_config"], "rope_parameters": rope}
    return AutoConfig.for_model(model_type, **{**sizes, "text_config": text}, **ids)


def random_rows(processor: Any, height: int, width: int, rows: int, response: int) -> TensorDict:
    """Make rows with a random image and a random response each."""
    generator = torch.Generator().manual_seed(0)

    def row(number: int) -> Row:
        pixels = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
        ids = torch.randint(10, 200, (response,), generator=generator)
        return Row(f"prompt{number}", number, 0, "the red square", [Image.fromarray(pixels.numpy())], ids)

    data = worker_batch([row(number) for number in range(rows)], processor)
    tu.assign_non_tensor(data, use_remove_padding=True)
    return data


def second_time(device: str, run: Callable[[], Any]) -> Cost:
    """Measure the second call; the first warms up."""
    run()
    with measured(device) as cost:
        run()
    return cost
