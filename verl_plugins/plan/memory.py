"""Memory of one GPU by phase of a step, in bytes. Every constant that is not arithmetic is named and explained here.

What the layers keep and what they work with is held against measurements at the true sizes of Qwen2.5-VL-3B and 7B
(``benchmarks/memory``). FSDP2's gathered weights and gradients, vLLM and CUDA are arithmetic and estimates.
"""

from __future__ import annotations

from dataclasses import dataclass

from verl_plugins.plan.host import Phase, host_memory
from verl_plugins.plan.shape import Layers, Shape
from verl_plugins.plan.workload import GIB, TEXT_OF_A_ROW, Workload

CONTEXT = 2 * GIB  # CUDA, NCCL, and what vLLM keeps asleep, its CUDA graphs above all: an estimate
ENTROPY_CHUNK = 2048  # tokens: verl's entropy_from_logits_chunk_size
PROJECTED = 1 << 26  # logits that this package's forwards project at once (engine/hidden_states.py)
BUCKET = 2 * GIB  # of weights on their way to vLLM: verl's update_weights_bucket_megabytes
VLLM_ACTIVATIONS = 2 * GIB  # of its largest batch, and its CUDA graphs: an estimate
KV_BLOCK = 16  # tokens that vLLM's KV cache allots at once
ROTATION = 38  # bytes of each number of a Qwen tower's queries while they are rotated, in float32: measured


@dataclass(frozen=True)
class Plan:
    """Bytes by phase and part, and what they leave vLLM.

    Args:
        phases: of a GPU: name of a phase to its parts.
        image_tokens: of the largest image.
        cache: bytes that vLLM's KV cache gets on a GPU; below 0 there are none.
        cached_token: bytes of a token there.
        request_tokens: of the longest request that vLLM must be able to hold, in whole blocks.
        host: phases of a machine's own memory, without Python, Ray and the data set.
    """

    phases: dict[str, Phase]
    image_tokens: int
    cache: int
    cached_token: int
    request_tokens: int
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
        """Bytes that the KV cache is short of for one request: vLLM's ``check_enough_kv_cache_memory``."""
        return max(0, self.request_tokens * self.cached_token - self.cache)


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
    if load.has_pixel_gradient:
        phases["attack"] = {**kept, **attack(shape, load)}
    whole = {**kept, "optimizer": states, "gradients": gradients}  # verl brings offloaded states back for the update
    phases["update"] = {**whole, **update(shape, load)}
    phases["optimizer step"] = {**whole, "its temporaries": gradients}  # the roots of the second moments, all at once
    return Plan(
        phases=phases,
        image_tokens=image_tokens(shape, load),
        cache=int(load.vllm_share * memory) - 2 * shape.parameters // load.vllm_gpus - VLLM_ACTIVATIONS,
        cached_token=cached_token(shape.text, load),
        request_tokens=-(-(load.max_model_len or shape.longest) // KV_BLOCK) * KV_BLOCK,
        host=host_memory(shape, load, trained),
    )


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


def cached_token(text: Layers, load: Workload) -> int:
    """Bytes of a token in the KV cache of one GPU: keys and values in bfloat16, at least one head of each."""
    return 2 * 2 * text.count * text.key // min(load.vllm_gpus, text.key_heads)


def update(shape: Shape, load: Workload) -> Phase:
    """Forward and backward of a micro-batch, but for what stays from one to the next.

    The last part is the largest of what comes one after the other, beside all activations: the logits; a layer of the
    language model; one of the vision tower, when the activations of the language model are gone; and when all are gone,
    the reduction of the gradients outside the layers (an embedding of its own is gathered for it, with its gradient).
    """
    patches = _patches(shape, load, load.tokens)
    text = kept_by_language_model(shape, load) * load.tokens
    vision = 0 if load.is_vision_frozen else kept_by_vision_tower(shape, load) * patches
    work = [logits(shape, load), layer_work(shape.text, load) * load.tokens]
    if not load.is_vision_frozen:
        work.append(layer_work(shape.vision, load) * patches - text)
    if not load.lora_rank:
        embedding = 0 if shape.is_tied else 2 * load.compute_bytes
        work.append((embedding + 4) * shape.vocabulary * shape.text.hidden - text - vision)
    return {
        "gathered weights": gathered(shape, load),
        "gathered gradients": gathered_gradients(shape, load),
        "activations": text + vision,
        "logits, or a layer": max(work),
    }


def attack(shape: Shape, load: Workload) -> Phase:
    """A forward and a backward to the pixels: through the vision tower even where it is frozen.

    Of the logits there is a quarter of a chunk at a time, in six float32 tensors.
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


def forward(shape: Shape, load: Workload) -> Phase:
    """A forward without gradient; with a method's second forward two, whose logits are projected by chunks.

    The last part is the largest of what comes one after the other: a layer of the vision tower, a layer of the language
    model, the projection. A tower that rotates queries and keys does so in float32, which is most of its layer.
    """
    width, tokens = load.compute_bytes, load.log_prob_tokens
    text, vision = shape.text, shape.vision
    states = width * text.hidden * tokens
    layer = tokens * (4 * text.hidden + width * (text.hidden + 3 * text.intermediate))  # beside ``states``
    rotation = ROTATION * vision.query if vision.has_one_projection else 0
    vision_layer = max(rotation, 4 * vision.hidden + width * (2 * vision.hidden + 3 * vision.intermediate))
    projected = shape.vocabulary * tokens * width
    if load.has_second_forward:  # a chunk of each forward's logits; the kernel that compares them keeps none beside
        projected = PROJECTED * 2 * width
        states *= 2
    elif not load.is_entropy_chunked:
        projected += 0 if load.is_entropy_compiled else 8 * shape.vocabulary * tokens  # softmax, product
    else:
        projected += 12 * shape.vocabulary * min(tokens, ENTROPY_CHUNK)  # a chunk in float32, its softmax, the product
    work = max(layer, vision_layer * _patches(shape, load, tokens) - states, projected)
    return {"gathered weights": gathered(shape, load), "activations": states, "logits, or a layer": work}


def kept_by_language_model(shape: Shape, load: Workload, is_trained: bool = True) -> int:
    """Bytes a token that the language model keeps until its backward, without logits: its layers' and the last norm."""
    return _kept_by_layers(shape.text, load, is_trained) + _kept_by_norm(shape.text, load, is_trained)


def kept_by_vision_tower(shape: Shape, load: Workload, is_trained: bool = True) -> int:
    """Bytes a patch that the tower keeps until its backward: pixels, its layers', and each merger's norm and GELU."""
    pixels = load.compute_bytes * 3 * shape.frames * shape.patch**2
    activation = (1 + is_trained) * load.compute_bytes * shape.vision.hidden
    merger = _kept_by_norm(shape.vision, load, is_trained) + activation
    return pixels + _kept_by_layers(shape.vision, load, is_trained) + shape.mergers * merger


def _kept_by_layers(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes a token: of each layer its input alone, if checkpointed."""
    if load.is_checkpointed:
        return layers.count * load.compute_bytes * layers.hidden
    return layers.count * saved_by_layer(layers, load, is_trained)


def layer_work(layers: Layers, load: Workload, is_trained: bool = True) -> int:
    """Bytes a token that the backward of one layer needs beside what is kept: gradients, and what it computes again.

    It is at its most in the feed-forward, where gate, activation and up meet their gradients; without a gate, the inner
    states before the activation and the gradients before and after it.
    """
    inner = load.compute_bytes * layers.intermediate * (6 if layers.is_gated else 3)
    gradients = inner - _kept_by_feed_forward(layers, load, is_trained)
    return gradients + (saved_by_layer(layers, load, is_trained) if load.is_checkpointed else 0)


def saved_by_layer(layers: Layers, load: Workload, is_trained: bool = True) -> int:
    """Bytes a token that one layer saves, in Transformers' own implementation of Qwen2, Qwen3, and their vision towers.

    Attention saves queries, keys, values and output; the values keep the whole projection alive where it is one.
    Weights that take no gradient save no input.
    """
    width = load.compute_bytes
    norms = 2 * _kept_by_norm(layers, load, is_trained)
    if layers.has_head_norms:
        norms += (4 + width * is_trained) * (layers.query + layers.key)
    keys = layers.query if layers.repeats_keys else layers.key
    attention = width * (2 * layers.query + 2 * keys)
    if layers.has_one_projection:
        attention += width * 2 * layers.query
    if not load.fused_kernels:  # keys and values repeated for each query head, the output made contiguous
        attention += width * (2 * (layers.query - keys) + layers.query)
    return norms + attention + _kept_by_feed_forward(layers, load, is_trained)


def _kept_by_norm(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes a token: the float32 input; for its weights RMSNorm's normalised input; for the next weights the output."""
    outputs = 2 if layers.is_gated else 1
    return (4 + outputs * load.compute_bytes * is_trained) * layers.hidden


def _kept_by_feed_forward(layers: Layers, load: Workload, is_trained: bool) -> int:
    """Bytes a token: gate, its activation and up, or the inner states before the activation; for weights, the product,
    or the inner states after it."""
    return ((3 if layers.is_gated else 1) + is_trained) * load.compute_bytes * layers.intermediate


def logits(shape: Shape, load: Workload) -> int:
    """The logits of all tokens of a micro-batch, and their gradients.

    FlashAttention's cross-entropy writes the gradient over the logits, unless the entropy needs them, too. Then its
    gradient and the entropy's come beside them. torch.compile makes of verl's entropy one kernel forward and one
    backward, which keep nothing else of that size, recomputed or not. Without it, CUDA's autocast makes each step a
    float32 tensor of its own; chunks end that in the forward, but their backward holds a gradient of the whole for each
    of them beside all that the chunks have saved. verl compiles chunks anew for each number of tokens until torch gives
    up and runs them so. These bytes of a logit are measured, in bfloat16.
    """
    number = load.tokens * shape.vocabulary
    width = load.compute_bytes
    if not load.fused_kernels:
        return 4 * width * number  # logits; gradient through the label; through the normaliser, by row and together
    if not load.has_entropy_loss:
        return width * number
    if load.is_entropy_compiled and not load.is_entropy_chunked:
        return 3 * width * number
    if not load.is_entropy_chunked:
        return (30 if load.is_entropy_recomputed else 26) * number
    chunked = max(14 * number, 10 * number + 20 * min(load.tokens, ENTROPY_CHUNK) * shape.vocabulary)
    return chunked + (2 * number if load.is_entropy_recomputed else 0)


def gathered(shape: Shape, load: Workload) -> int:
    """Weights that FSDP gathers: the projection, or the embedding if it is one with it, and two layers."""
    return load.compute_bytes * (shape.vocabulary * shape.text.hidden + 2 * shape.text.parameters)


def gathered_gradients(shape: Shape, load: Workload) -> int:
    """Gradients before FSDP2 reduces them: of the projection until the end, of a layer, and of the one before in fp32.

    Those of a LoRA adapter are not worth counting.
    """
    if load.lora_rank:
        return 0
    layer = (load.compute_bytes + 4) * shape.text.parameters
    return load.compute_bytes * shape.vocabulary * shape.text.hidden + layer


def _patches(shape: Shape, load: Workload, tokens: int) -> int:
    """Vision patches in a micro-batch whose rows are all but short of text."""
    of_an_image = image_tokens(shape, load)
    images = max(1, tokens // (of_an_image + TEXT_OF_A_ROW))
    return images * of_an_image * shape.patches_per_token
