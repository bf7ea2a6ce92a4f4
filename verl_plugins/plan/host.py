"""Host memory of one machine by phase, in bytes: loading, offloaded weights, and images.

Images take most of it: verl keeps ``pixel_values`` of every response in the TransferQueue, in float32.
"""

from __future__ import annotations

from verl_plugins.plan.shape import ModelShape
from verl_plugins.plan.workload import Workload

Phase = dict[str, int]  # bytes by part


def host_memory(shape: ModelShape, load: Workload, trained: int) -> dict[str, Phase]:
    """Estimate the phases of a machine.

    Loading: if embedding and output projection are tied, verl loads the whole model in every process, otherwise in the
    first only.

    Step: the TransferQueue's storage is spread over the machines and holds ``multi_modal_inputs`` of a response from
    its sampling to the end of the step. For log-probabilities and update, each worker fetches its share of the rows
    once (``dispatch_lazy_compute_data_proto`` splits the keys, and the worker reads its rows without a further copy),
    so the workers together hold the rows a second time. Neither the driver nor the agent loops hold a copy.

    Validation: runs before the step's rows are cleared; its own rows are stored in the same way, and no worker
    fetches them.

    vLLM: each server's engine process keeps up to ``mm_processor_cache_gb`` of processed images; its API process keeps
    only their sizes. With LoRA, a sleeping server also keeps its weights in host memory (sleep level 1).

    Args:
        shape: sizes of the model.
        load: the run.
        trained: number of parameters with optimizer states.

    Returns:
        Bytes by phase and part.
    """
    processes = load.gpus_of_a_node if shape.is_tied else 1
    loading = processes * shape.parameters * max(load.weight_bytes, load.reference_bytes if load.has_reference else 0)
    share = load.gpus_of_a_node / load.gpus
    offloaded = shape.parameters * load.weight_bytes if load.offloads_weights else 0
    offloaded += 2 * trained * load.weight_bytes if load.offloads_optimizer else 0
    offloaded += shape.parameters * load.reference_bytes if load.has_reference else 0
    servers = load.gpus_of_a_node // load.vllm_gpus
    rows = int(load.rows * pixel_bytes(shape, load) * share)
    shared_parts = {
        "offloaded": int(offloaded * share),
        "vLLM's image caches": servers * load.image_cache,
        "vLLM's sleeping weights": 2 * shape.parameters * servers if load.lora_rank else 0,
        "images in the TransferQueue": rows,
    }
    validation = int((load.validation_prompts or 0) * load.validation_responses * pixel_bytes(shape, load) * share)
    return {
        "loading": {"weights": loading},
        "step": {**shared_parts, "the workers' copies": rows},
        "validation": {**shared_parts, "validation's images": validation},
    }


def pixel_bytes(shape: ModelShape, load: Workload) -> int:
    """Return the bytes of the largest image's ``pixel_values``: three float32 colours per pixel and frame."""
    return load.image_pixels * 3 * shape.frames * 4
