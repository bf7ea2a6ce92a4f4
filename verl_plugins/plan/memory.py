"""Memory of one GPU by phase of a step, in bytes. Every constant that is not arithmetic is named and explained here."""

from __future__ import annotations

from dataclasses import dataclass

from verl_plugins.plan.shape import Layers, Shape
from verl_plugins.plan.workload import TEXT_OF_A_ROW, Workload

GIB = 2**30
CONTEXT = 2 * GIB  # CUDA, NCCL, and what vLLM keeps asleep, its CUDA graphs above all: an estimate
ENTROPY_CHUNK = 2048  # tokens: verl's entropy_from_logits_chunk_size
PROJECTED = 1 << 26  # logits that this package's forwards project at once (engine/hidden_states.py)
BUCKET = 2 * GIB  # of weights on their way to vLLM: verl's update_weights_bucket_megabytes
VLLM_ACTIVATIONS = 2 * GIB  # of its largest batch, and its CUDA graphs: an estimate

Phase = dict[str, int]


@dataclass(frozen=True)
class Plan:
    """Bytes of a GPU by phase and part, and what they leave vLLM.

    Args:
        phases: name of a phase to its parts.
        image_tokens: of the largest image.
        cache_tokens: that vLLM's KV cache holds; below 0 it cannot start.
        host: bytes of a machine's own memory, without vLLM and Ray.
    """

    phases: dict[str, Phase]
    image_tokens: int
    cache_tokens: int
    host: int

    @property
    def peak(self) -> int:
        return max(sum(phase.values()) for phase in self.phases.values())


def plan(shape: Shape, load: Workload, memory: int) -> Plan:
    """The plan of a workload on GPUs with ``memory`` bytes."""
    trained = trained_parameters(shape, load)
    weights = shape.parameters * load.weight_bytes // load.gpus
    gradients = trained * load.weight_bytes // load.gpus
    states = 2 * gradients
    kept = {"weights": weights, "optimizer": 0 if load.offloads_optimizer else states, "CUDA, NCCL": CONTEXT}
    asleep = {**kept, "weights": 0 if load.offloads_weights else weights}
    phases: dict[str, Phase] = {
        "sampling": {**asleep, "vLLM": int(load.vllm_share * memory)},
        "weight sync": {**kept, "vLLM": 2 * shape.parameters // load.vllm_gpus + 2 * BUCKET},
        "log-probabilities": {**kept, **forward(shape, load)},
    }
    if "saei" in load.methods:
        phases["attack"] = {**kept, **attack(shape, load)}
    whole = {**kept, "optimizer": states, "gradients": gradients}  # verl brings offloaded states back for the update
    phases["update"] = {**whole, **update(shape, load)}
    phases["optimizer step"] = {**whole, "its temporaries": gradients}  # the roots of the second moments, all at once
    cache = int(load.vllm_share * memory) - 2 * shape.parameters // load.vllm_gpus - VLLM_ACTIVATIONS
    copies = 2 * shape.text.count * shape.text.key * 2 // load.vllm_gpus  # keys and values, bf16
    return Plan(phases, image_tokens(shape, load), cache // copies, host_memory(shape, load, trained))


def trained_parameters(shape: Shape, load: Workload) -> int:
    """How many numbers take a gradient and have optimizer states."""
    if load.lora_rank:
        return load.lora_rank * shape.adapted_sides
    return shape.parameters - (shape.vision_parameters if load.is_vision_frozen else 0)


def image_tokens(shape: Shape, load: Workload) -> int:
    """Of the largest image, as the language model sees it."""
    if shape.tile_tokens:
        return load.image_pixels // (448 * 448) * shape.tile_tokens + 2
    return load.image_pixels // (shape.patch**2 * shape.patches_per_token) + 2


def update(shape: Shape, load: Workload) -> Phase:
    """Forward and backward of a micro-batch, but for what stays from one to the next."""
    stacks = [(shape.text, load.tokens)]
    if not load.is_vision_frozen:
        stacks.append((shape.vision, _patches(shape, load, load.tokens)))
    projection = 0 if load.lora_rank else (load.compute_bytes + 4) * shape.vocabulary * shape.text.hidden
    working = max(logits(shape, load), *(layer_work(layers, load) * tokens for layers, tokens in stacks))
    return {
        "gathered weights": gathered(shape, load)
        + projection,  # with the projection's gradient, and it once more in fp32
        "activations": sum(kept_by_stack(layers, load) * tokens for layers, tokens in stacks),
        "logits, or a layer": working,
    }


def attack(shape: Shape, load: Workload) -> Phase:
    """A forward and a backward to the pixels: through the vision tower even where it is frozen, without logits."""
    stacks = (shape.text, load.tokens), (shape.vision, _patches(shape, load, load.tokens))
    return {
        "gathered weights": gathered(shape, load),
        "activations": sum(kept_by_stack(layers, load) * tokens for layers, tokens in stacks),
        "logits, or a layer": max(PROJECTED * 4, *(layer_work(layers, load) * tokens for layers, tokens in stacks)),
    }


def forward(shape: Shape, load: Workload) -> Phase:
    """A forward without gradient; with vepo two, whose logits are projected by chunks."""
    width, tokens = load.compute_bytes, load.log_prob_tokens
    layer = shape.text
    working = tokens * (4 * layer.hidden + width * (2 * layer.hidden + 3 * layer.intermediate))
    if "vepo" in load.methods:
        # Two logits and about four float32 numbers for each, and the hidden states of both forwards.
        projected = PROJECTED * (2 * width + 16) + 2 * tokens * width * layer.hidden
    else:
        projected = tokens * shape.vocabulary * width + 3 * 4 * min(tokens, ENTROPY_CHUNK) * shape.vocabulary
    return {"gathered weights": gathered(shape, load), "activations": working, "logits, or a layer": projected}


def kept_by_stack(layers: Layers, load: Workload) -> int:
    """Bytes a token that a stack of layers keeps until its backward: of each layer its input alone, if checkpointed."""
    of_a_layer = load.compute_bytes * layers.hidden if load.is_checkpointed else saved_by_layer(layers, load)
    return layers.count * of_a_layer


def layer_work(layers: Layers, load: Workload) -> int:
    """Bytes a token that the backward of one layer needs beside: gradients, and what it computes again."""
    gradients = (3 if layers.is_gated else 2) * load.compute_bytes * layers.intermediate
    return gradients + (saved_by_layer(layers, load) if load.is_checkpointed else 0)


def saved_by_layer(layers: Layers, load: Workload) -> int:
    """Bytes a token that one layer saves, in Transformers' own implementation of Qwen2, Qwen3, and their vision towers.

    A norm computes in float32 and saves its input (4 bytes), the normalised input and its output; LayerNorm saves input
    and output. Attention saves queries, keys, values and output; the feed-forward saves gate, its activation, up and
    their product, or without a gate, the inner states before and after the activation.
    """
    width, hidden = load.compute_bytes, layers.hidden
    norms = 2 * (4 + 2 * width) * hidden if layers.is_gated else 2 * 2 * width * hidden
    if layers.has_head_norms:
        norms += (4 + width) * (layers.query + layers.key)
    attention = width * (2 * layers.query + 2 * layers.key)
    if not load.fused_kernels:  # keys and values repeated for each query head, the output made contiguous
        attention += width * (2 * (layers.query - layers.key) + layers.query)
    return norms + attention + (4 if layers.is_gated else 2) * width * layers.intermediate


def logits(shape: Shape, load: Workload) -> int:
    """The logits of all tokens of a micro-batch, and their gradients.

    FlashAttention's cross-entropy writes the gradient over the logits, unless the entropy needs them, too; then there
    are the logits, both gradients, and the softmax that the entropy saves or recomputes.
    """
    one = load.tokens * shape.vocabulary * load.compute_bytes
    if not load.fused_kernels:
        return 4 * one  # logits; their gradient through the label; through the normaliser, row by row and together
    if not load.has_entropy_loss:
        return one
    return (4 if load.is_entropy_recomputed else 6) * one


def gathered(shape: Shape, load: Workload) -> int:
    """Weights that FSDP gathers: the projection, or the embedding if it is one with it, and two layers."""
    return load.compute_bytes * (shape.vocabulary * shape.text.hidden + 2 * shape.text.parameters)


def host_memory(shape: Shape, load: Workload, trained: int) -> int:
    """Of one machine, at the largest of loading and training.

    Where embedding and projection are one, verl loads the whole model in every process; else in the first alone.
    """
    processes = load.gpus_of_a_node if shape.is_tied else 1
    loading = processes * shape.parameters * max(load.weight_bytes, load.reference_bytes if load.has_reference else 0)
    share = load.gpus_of_a_node / load.gpus
    offloaded = shape.parameters * load.weight_bytes if load.offloads_weights else 0
    offloaded += 2 * trained * load.weight_bytes if load.offloads_optimizer else 0
    offloaded += shape.parameters * load.reference_bytes if load.has_reference else 0
    return max(loading, int(offloaded * share))


def _patches(shape: Shape, load: Workload, tokens: int) -> int:
    """Vision patches in a micro-batch whose rows are all but short of text."""
    of_an_image = image_tokens(shape, load)
    images = max(1, tokens // (of_an_image + TEXT_OF_A_ROW))
    return images * of_an_image * shape.patches_per_token
