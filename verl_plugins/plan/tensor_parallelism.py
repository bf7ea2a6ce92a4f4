"""Tensor parallelism of vLLM: the numbers of GPUs that a model can be shared out to."""

from __future__ import annotations

from verl_plugins.plan.shape import ModelShape
from verl_plugins.plan.workload import Workload

KEY = "actor_rollout_ref.rollout.tensor_model_parallel_size"


def check_tensor_parallelism(shape: ModelShape, load: Workload) -> None:
    """Refuse a size with which vLLM would not start.

    Raises:
        ValueError: the size does not divide heads, widths, or GPUs.
    """
    size, node = load.vllm_gpus, load.gpus_of_a_node
    shares_gpus = load.gpus % size == 0 and (node % size == 0 or size % node == 0)
    if shares_gpus and divides_model(shape, size):
        return
    possible = ", ".join(map(str, sizes(shape, load)))
    heads = f"{shape.text.heads} and {shape.vision.heads} heads"
    raise ValueError(
        f"{KEY}: got {size}, expected a size that divides the GPUs of a machine ({node}), the {heads} of language "
        f"model and vision tower, and their widths; set {KEY} to one of: {possible}"
    )


def sizes(shape: ModelShape, load: Workload) -> list[int]:
    """List the sizes that divide the model and the GPUs of a machine."""
    node = load.gpus_of_a_node
    return [size for size in range(1, node + 1) if node % size == 0 and divides_model(shape, size)]


def divides_model(shape: ModelShape, size: int) -> bool:
    """Tell whether vLLM can split the model: heads and feed-forwards evenly, key heads evenly or copied evenly."""
    keys = shape.text.key_heads
    widths = [width for stack in (shape.text, shape.vision) for width in (stack.heads, stack.intermediate)]
    if shape.text.linear:
        widths.append(shape.text.linear.heads)
    return all(width % size == 0 for width in widths) and (keys % size == 0 or size % keys == 0)
