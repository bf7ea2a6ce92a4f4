"""GPU memory by phase of a step, in bytes. Constants that are estimates, measurements or settings of verl are
named and explained below.

The activations of the layers are compared with measurements at the true sizes of Qwen2.5-VL-3B and 7B
(``benchmarks/memory``). FSDP2's gathered weights and gradients, vLLM and CUDA are arithmetic and estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

from verl_plugins.plan.host import Phase, host_memory
from verl_plugins.plan.shape import Layers, ModelShape
from verl_plugins.plan.workload import GIB, TEXT_OF_A_ROW, Workload

CONTEXT = 2 * GIB  # CUDA, NCCL, and what vLLM keeps while it sleeps, mainly its CUDA graphs (an estimate)
ENTROPY_CHUNK = 2048  # tokens: verl's entropy_from_logits_chunk_size
PROJECTED = 1 << 26  # logits that this package's forwards project at once (components/hidden_states.py)
BUCKET = 2 * GIB  # weights in transit to vLLM: verl's update_weights_bucket_megabytes
VLLM_ACTIVATIONS = 2 * GIB  # activations of vLLM's largest batch, and its CUDA graphs (an estimate)
KV_BLOCK = 16  # tokens in a block of vLLM's KV cache
ROTATION = 38  # bytes per element of a Qwen tower's queries during their rotation in float32 (measured)


@dataclass(frozen=True)
class Plan:
    """Estimated memory of a run, by phase and part.

    Args:
        phases: bytes on a GPU: name of a phase to its parts.
        image_tokens: tokens of the largest image.
        cache: bytes of vLLM's KV cache on a GPU; negative if there is no room for it.
        cached_token: bytes of a token in the KV cache.
        request_tokens: tokens of the longest request that vLLM must hold, in whole blocks.
        request_state: bytes of a request's state in layers with linear attention.
        host: bytes of host memory by phase, without Python, Ray and the data set.
    """

    phases: dict[str, Phase]
    image_tokens: int
    cache: int
    cached_token: int
    request_tokens: int
    request_state: int
    host: dict[str, Phase]

    @property
    def peak(self) -> int:
        return max(sum(phase.values()) for phase in self.phases.values())

    @property
    def host_peak(self) -> int:
        return max(sum(phase.values()) for phase in self.host.values())

    @property
    def cache_tokens(self) -> int:
        return max(0, self.cache // self.cached_token)

    @property
    def cache_lack(self) -> int:
        """Bytes that the KV cache lacks for one request, as in vLLM's ``check_enough_kv_cache_memory``."""
        return max(0, self.request_bytes - self.cache)

    @property
    def request_bytes(self) -> int:
        return self.request_tokens * self.cached_token + self.request_state


def plan(shape: ModelShape, load: Workload, memory: int) -> Plan:
    """Estimate the memory of a workload on GPUs with ``memory`` bytes."""
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
    if load.has_pixel_gradient:
        phases["attack"] = {**kept, **attack(shape, load)}
    during_update = {**kept, "optimizer": states, "gradients": gradients}  # verl loads offloaded states for the update
    phases["update"] = {**during_update, **update(shape, load)}
    # The temporaries are the square roots of all second moments at once.
    phases["optimizer step"] = {**during_update, "its temporaries": gradients}
    return Plan(
        phases=phases,
        image_tokens=image_tokens(shape, load),
        cache=int(load.vllm_share * memory) - 2 * shape.parameters // load.vllm_gpus - VLLM_ACTIVATIONS,
        cached_token=cached_token(shape.text, load),
        request_state=shape.text.linear.state // load.vllm_gpus if shape.text.linear else 0,
        request_tokens=-(-(load.max_model_len or shape.longest) // KV_BLOCK) * KV_BLOCK,
        host=host_memory(shape, load, trained),
    )


def trained_parameters(shape: ModelShape, load: Workload) -> int:
    """Return the number of parameters that have gradients and optimizer states."""
    if load.lora_rank:
        return load.lora_rank * shape.adapted_sides
    return shape.parameters - (shape.vision_parameters if load.is_vision_frozen else 0)


def image_tokens(shape: ModelShape, load: Workload) -> int:
    """Return the number of language-model tokens of the largest image."""
    if shape.tile_tokens:
        return load.image_pixels // (448 * 448) * shape.tile_tokens + 2
    return load.image_pixels // (shape.patch**2 * shape.patches_per_token) + 2


def cached_token(text: Layers, load: Workload) -> int:
    """Return the bytes of a token in the KV cache of one GPU: keys and values in bfloat16, at least one head each."""
    return 2 * 2 * text.cached * text.key // min(load.vllm_gpus, text.key_heads)


def update(shape: ModelShape, load: Workload) -> Phase:
    """Estimate forward and backward of a micro-batch, without what persists between micro-batches.

    The last part is the largest of four that are needed one after the other, in addition to the activations: the
    logits; a layer of the language model; a layer of the vision tower, once the activations of the language model are
    freed; and, once all activations are freed, the reduction of the gradients outside the layers. An embedding that is
    not tied is gathered for that reduction, with its gradient.
    """
    patches = _patches(shape, load, load.tokens)
    text = kept_by_language_model(shape, load) * load.tokens
    vision = 0 if load.is_vision_frozen else kept_by_vision_tower(shape, load) * patches
    temporary = [logits(shape, load), layer_work(shape.text, load) * load.tokens]
    if not load.is_vision_frozen:
        temporary.append(layer_work(shape.vision, load) * patches - text)
    if not load.lora_rank:
        embedding = 0 if shape.is_tied else 2 * load.compute_bytes
        temporary.append((embedding + 4) * shape.vocabulary * shape.text.hidden - text - vision)
    return {
        "gathered weights": gathered(shape, load),
        "gathered gradients": gathered_gradients(shape, load),
        "activations": text + vision,
        "logits, or a layer": max(temporary),
    }


def attack(shape: ModelShape, load: Workload) -> Phase:
    """Estimate a forward and a backward to the pixels, which passes through the vision tower even if it is frozen.

    A quarter of a chunk of the logits exists at a time, in six float32 tensors.
    """
    patches = _patches(shape, load, load.tokens)
    text = kept_by_language_model(shape, load, is_trained=False) * load.tokens
    vision = kept_by_vision_tower(shape, load, is_trained=False) * patches
    layer = layer_work(shape.text, load, is_trained=False) * load.tokens
    vision_layer = layer_work(shape.vision, load, is_trained=False) * patches
    return {
        "gathered weights": gathered(shape, load),
        "activations": text + vision,
        "logits, or a layer": max(PROJECTED // 4 * 24, layer, vision_layer - text),
    }


def forward(shape: ModelShape, load: Workload) -> Phase:
    """Estimate one forward without gradient, or two if a method has a second forward.

    The logits of two forwards are projected in chunks. The last part is the largest of three that are needed one after
    the other: a layer of the vision tower, a layer of the language model, the projection. A tower with rotary
    embeddings rotates queries and keys in float32, which takes most of the memory of its layer.
    """
    width, tokens = load.compute_bytes, load.log_prob_tokens
    text, vision = shape.text, shape.vision
    states = width * text.hidden * tokens
    layer = tokens * (4 * text.hidden + width * (text.hidden + 3 * text.intermediate))  # beside ``states``
    rotation = ROTATION * vision.query if vision.has_one_projection else 0
    vision_layer = max(rotation, 4 * vision.hidden + width * (2 * vision.hidden + 3 * vision.intermediate))
    projected = shape.vocabulary * tokens * width
    if load.has_second_forward:  # a chunk of logits of each forward; the kernel that compares them keeps nothing else
        projected = PROJECTED * 2 * width
        states *= 2
    elif not load.is_entropy_chunked:
        projected += 0 if load.is_entropy_compiled else 8 * shape.vocabulary * tokens  # softmax, product
    else:
        projected += 12 * shape.vocabulary * min(tokens, ENTROPY_CHUNK)  # a chunk in float32, its softmax, the product
    temporary = max(layer, vision_layer * _patches(shape, load, tokens) - states, projected)
    return {"gathered weights": gathered(shape, load), "activations": states, "logits, or a layer": temporary}


def kept_by_language_model(shape: ModelShape, load: Workload, is_trained: bool = True) -> int:
    """Bytes per token that the language model keeps for its backward, without logits: its layers and the last norm."""
    return kept_by_stack(shape.text, load, is_trained) + _kept_by_norm(shape.text, load, is_trained)


def kept_by_vision_tower(shape: ModelShape, load: Workload, is_trained: bool = True) -> int:
    """Bytes per patch that the tower keeps for its backward: pixels, its layers, and each merger's norm and GELU."""
    pixels = load.compute_bytes * 3 * shape.frames * shape.patch**2
    activation = (1 + is_trained) * load.compute_bytes * shape.vision.hidden
    merger = _kept_by_norm(shape.vision, load, is_trained) + activation
    return pixels + kept_by_stack(shape.vision, load, is_trained) + shape.mergers * merger


def kept_by_stack(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes per token kept by the layers; with checkpointing, only the input of each."""
    if load.is_checkpointed:
        return layers.count * load.compute_bytes * layers.hidden
    softmax = layers.cached * saved_by_layer(layers, load, is_trained)
    return softmax + (layers.linear.count * saved_by_linear_layer(layers, load, is_trained) if layers.linear else 0)


def layer_work(layers: Layers, load: Workload, is_trained: bool = True) -> int:
    """Bytes per token that the backward of one layer needs beside what is kept: gradients and recomputed activations.

    The maximum is in the feed-forward, which holds gate, activation and up together with their gradients; without a
    gate, the inner states before the activation and the gradients before and after it.
    """
    inner = load.compute_bytes * layers.intermediate * (6 if layers.is_gated else 3)
    gradients = inner - _kept_by_feed_forward(layers, load, is_trained)
    if not load.is_checkpointed:
        return gradients
    return gradients + max(saved_by_layer(layers, load, is_trained), saved_by_linear_layer(layers, load, is_trained))


def saved_by_layer(layers: Layers, load: Workload, is_trained: bool = True) -> int:
    """Bytes per token that one layer with softmax attention saves, in Transformers' Qwen models and vision towers.

    Attention saves queries, keys, values and output; if they come from one projection, the values keep all of it alive.
    Frozen weights save no input.
    """
    width = load.compute_bytes
    norms = 2 * _kept_by_norm(layers, load, is_trained)
    if layers.has_head_norms:
        norms += (4 + width * is_trained) * (layers.query + layers.key)
    keys = layers.query if layers.repeats_keys else layers.key
    attention = width * (2 * layers.query + 2 * keys)
    if layers.has_one_projection:
        attention += width * 2 * layers.query
    if layers.has_gated_output:  # the gate after its sigmoid, and the product
        attention += width * (1 + is_trained) * layers.query
    if not load.fused_kernels:  # keys and values repeated for each query head, the output made contiguous
        attention += width * (2 * (layers.query - keys) + layers.query)
    return norms + attention + _kept_by_feed_forward(layers, load, is_trained)


def saved_by_linear_layer(layers: Layers, load: Workload, is_trained: bool = True) -> int:
    """Bytes per token that one layer with linear attention saves; 0 for a stack without such layers."""
    if layers.linear is None:
        return 0
    norms = 2 * _kept_by_norm(layers, load, is_trained)
    attention = layers.linear.saved(load.compute_bytes, is_trained)
    return norms + attention + _kept_by_feed_forward(layers, load, is_trained)


def _kept_by_norm(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes per token that a norm keeps.

    They are its float32 input and, for the gradients of the weights, the normalised input and the output.
    """
    outputs = 2 if layers.is_gated else 1
    return (4 + outputs * load.compute_bytes * is_trained) * layers.hidden


def _kept_by_feed_forward(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes per token that the feed-forward keeps.

    With a gate: gate, its activation and up and, if trained, their product. Without: the inner states before the
    activation and, if trained, those after it.
    """
    return ((3 if layers.is_gated else 1) + is_trained) * load.compute_bytes * layers.intermediate


def logits(shape: ModelShape, load: Workload) -> int:
    """Bytes of the logits of all tokens of a micro-batch, and of their gradients.

    FlashAttention's cross-entropy overwrites the logits with the gradient, unless the entropy needs them as well. Then
    two more tensors hold the gradients of the cross-entropy and of the entropy.

    torch.compile turns verl's entropy into one kernel for the forward and one for the backward, which keep nothing else
    of that size, recomputed or not. Without torch.compile, each operation under CUDA's autocast allocates a float32
    tensor. Chunks avoid that in the forward, but their backward holds a gradient of the whole tensor for each chunk, in
    addition to everything that the chunks have saved. verl recompiles chunks for each number of tokens until torch
    gives up and runs them uncompiled. The bytes per logit are measured in bfloat16.
    """
    number = load.tokens * shape.vocabulary
    width = load.compute_bytes
    if not load.fused_kernels:
        return 4 * width * number  # logits; gradients through the label and through the normaliser, per row and summed
    if not load.has_entropy_loss:
        return width * number
    if load.is_entropy_compiled and not load.is_entropy_chunked:
        return 3 * width * number
    if not load.is_entropy_chunked:
        return (30 if load.is_entropy_recomputed else 26) * number
    chunked = max(14 * number, 10 * number + 20 * min(load.tokens, ENTROPY_CHUNK) * shape.vocabulary)
    return chunked + (2 * number if load.is_entropy_recomputed else 0)


def gathered(shape: ModelShape, load: Workload) -> int:
    """Bytes of the weights that FSDP gathers: the projection (or the tied embedding) and two layers."""
    return load.compute_bytes * (shape.vocabulary * shape.text.hidden + 2 * shape.text.parameters)


def gathered_gradients(shape: ModelShape, load: Workload) -> int:
    """Bytes of the gradients that FSDP2 has not reduced yet.

    They are the gradients of the projection until the end, of one layer, and of the previous layer in fp32. The
    gradients of a LoRA adapter are negligible.
    """
    if load.lora_rank:
        return 0
    layer = (load.compute_bytes + 4) * shape.text.parameters
    return load.compute_bytes * shape.vocabulary * shape.text.hidden + layer


def _patches(shape: ModelShape, load: Workload, tokens: int) -> int:
    """Number of vision patches in a micro-batch of rows with little text."""
    tokens_of_image = image_tokens(shape, load)
    images = max(1, tokens // (tokens_of_image + TEXT_OF_A_ROW))
    return images * tokens_of_image * shape.patches_per_token
