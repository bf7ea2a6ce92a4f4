"""Stage: FSDP2 with verl's bf16 mixed precision and checkpointing on one rank. SaEI's attack first, then an update."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from tensordict import TensorDict
from torch import Tensor
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy
from verl.utils.fsdp_utils import apply_fsdp2, fsdp2_load_full_state_dict

from gpu.device import verl_works_on
from gpu.line import Line, not_run
from gpu.tiny import as_built, build_engine, micro_batch
from verl_plugins.methods.saei.attack import AttackRequest, adversarial_images
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import STATISTICS
from verl_plugins.training.engine import EntropyEngine
from verl_plugins.training.frozen_vision import FrozenVisionEngine, vision_tower

SHARPNESS = 4  # as in hooks.py
LENGTHS = [6, 9, 4, 2]
LEAST_COSINE = 0.99  # between all gradients in bf16 and in float32


def measure(device: str) -> Iterator[Line]:
    backend = "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo"
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    with verl_works_on(device):
        yield case("all weights trained", device)
        yield case("vision tower frozen", device, is_frozen=True)
        if device == "cuda":
            yield case("weights on the host (CPUOffloadPolicy)", device, is_offloaded=True)
        else:
            yield not_run("weights on the host (CPUOffloadPolicy)", "they always are")
    dist.destroy_process_group()


def case(name: str, device: str, is_frozen: bool = False, is_offloaded: bool = False) -> Line:
    """Run the attack as the model's first forward, then an update; compare its gradients with those in float32."""
    expected = f"a gradient for each trained weight, cosine to float32 >= {LEAST_COSINE}"
    expected += ", 0 vision blocks in the backward" if is_frozen else ""
    reference = plain_engine(is_frozen)
    with verl_works_on("cpu"):
        float32, _ = update(reference, batch(reference))
    engine = plain_engine(is_frozen)
    shard(engine, device, is_offloaded)
    try:
        statistics = adversarial_images(engine, batch(engine), AttackRequest(SaEIConfig(steps=1), seed=1, step=2))
        gradients, vision_blocks = update(engine, batch(engine))
    except Exception as error:
        return Line(name, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}", expected, is_ok=False)
    before, after, _ = statistics["model_output"][STATISTICS].mean(dim=0).tolist()
    shared = sorted(gradients.keys() & float32.keys())
    pair = (torch.cat([by_name[name].flatten() for name in shared]).double() for by_name in (gradients, float32))
    cosine = torch.cosine_similarity(*pair, dim=0).item()
    is_ok = gradients.keys() == float32.keys() and cosine >= LEAST_COSINE and not (is_frozen and vision_blocks)
    figure = f"{len(gradients)} of {len(float32)} weights have one, cosine {cosine:.4f}"
    figure += f", {vision_blocks} vision blocks in the backward; H_sel {after - before:+.4f} nats"
    raw = {"gradients": len(gradients), "cosine": cosine, "vision_blocks": vision_blocks, "rise_nats": after - before}
    return Line(name, figure, expected, is_ok, raw=raw)


def plain_engine(is_frozen: bool) -> Any:
    """Build the tiny model in float32 on the CPU, with gradient checkpointing."""
    engine = build_engine(SHARPNESS)
    engine.module.gradient_checkpointing_enable({"use_reentrant": False})
    engine.model_config.enable_gradient_checkpointing = True
    as_built(engine, FrozenVisionEngine if is_frozen else EntropyEngine)
    return engine


def shard(engine: Any, device: str, is_offloaded: bool) -> None:
    """Wrap every layer in FSDP2 as verl's engine does: bf16 for computing, float32 for storing and reducing."""
    module, mesh = engine.module, dist.device_mesh.init_device_mesh(device, (1,))
    precision = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=True)
    offload = CPUOffloadPolicy(pin_memory=True) if is_offloaded else None
    options = {"mesh": mesh, "mp_policy": precision, "offload_policy": offload, "reshard_after_forward": True}
    full_state = module.state_dict()
    apply_fsdp2(module, options, {})
    fsdp2_load_full_state_dict(module, full_state, mesh, offload)
    engine._autocast_dtype = torch.bfloat16
    engine.get_data_parallel_group = lambda: dist.group.WORLD


def batch(engine: Any) -> TensorDict:
    return micro_batch(engine.model_config.processor, [1] * len(LENGTHS), LENGTHS)[0]


def update(engine: Any, data: TensorDict) -> tuple[dict[str, Tensor], int]:
    """Run forward and backward of the tokens' mean log-probability.

    Returns:
        Finite gradients by name of the weight, float32 on the CPU; number of vision blocks that had a backward.
    """
    seen: list[int] = []
    handles = [
        block.register_full_backward_hook(lambda *_: seen.append(1)) for block in vision_tower(engine.module).blocks
    ]

    def loss(model_output: dict[str, Tensor], data: TensorDict, dp_group: Any) -> tuple[Tensor, dict]:
        return -model_output["log_probs"].values().mean(), {}

    engine.module.train()
    engine.forward_step(data, loss, forward_only=False)[0].backward()
    for handle in handles:
        handle.remove()
    parameters = engine.module.named_parameters()
    gradients = {name: parameter.grad for name, parameter in parameters if parameter.grad is not None}
    whole = {name: grad.full_tensor() if hasattr(grad, "full_tensor") else grad for name, grad in gradients.items()}
    return {name: grad.float().cpu() for name, grad in whole.items() if grad.isfinite().all()}, len(seen)
