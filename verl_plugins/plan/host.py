"""Memory of one machine beside its GPUs, by phase, in bytes: what is loaded, offloaded, and held of the images.

The images are the most of it: verl keeps ``pixel_values`` of every response in the TransferQueue, in float32.
"""

from __future__ import annotations

from verl_plugins.plan.shape import Shape
from verl_plugins.plan.workload import Workload

Phase = dict[str, int]  # bytes by part


def host_memory(shape: Shape, load: Workload, trained: int) -> dict[str, Phase]:
    """Phases of a machine.

    Loading: where embedding and projection are one, verl loads the whole model in every process; else in the first
    alone.

    A step: the TransferQueue's storage is spread over the machines, and ``multi_modal_inputs`` of a response is in it
    from its sampling until the step's end. For log-probabilities and update each worker fetches its share of the rows
    once (``dispatch_lazy_compute_data_proto`` cuts the keys, the worker gets what its keys name, without a copy beside
    it), so that the workers together hold them a second time. Neither the driver nor the agent loops do.

    Validation: comes before the step's rows are cleared, and its own are stored like those. No worker fetches them.

    vLLM: each server's engine process keeps up to ``mm_processor_cache_gb`` of processed images; its API process keeps
    their sizes alone. For LoRA, a sleeping server also keeps its weights there (sleep level 1).

    Args:
        trained: how many numbers have optimizer states.
    """
    processes = load.gpus_of_a_node if shape.is_tied else 1
    loading = processes * shape.parameters * max(load.weight_bytes, load.reference_bytes if load.has_reference else 0)
    share = load.gpus_of_a_node / load.gpus
    offloaded = shape.parameters * load.weight_bytes if load.offloads_weights else 0
    offloaded += 2 * trained * load.weight_bytes if load.offloads_optimizer else 0
    offloaded += shape.parameters * load.reference_bytes if load.has_reference else 0
    servers = load.gpus_of_a_node // load.vllm_gpus
    rows = int(load.rows * pixel_bytes(shape, load) * share)
    held = {
        "offloaded": int(offloaded * share),
        "vLLM's image caches": servers * load.image_cache,
        "vLLM's sleeping weights": 2 * shape.parameters * servers if load.lora_rank else 0,
        "images in the TransferQueue": rows,
    }
    validation = int((load.validation_prompts or 0) * load.validation_responses * pixel_bytes(shape, load) * share)
    return {
        "loading": {"weights": loading},
        "step": {**held, "the workers' copies": rows},
        "validation": {**held, "validation's images": validation},
    }


def pixel_bytes(shape: Shape, load: Workload) -> int:
    """Of the largest image's ``pixel_values``: three float32 colours a pixel, for each frame that is made of it."""
    return load.image_pixels * 3 * shape.frames * 4
