"""Memory of layers with linear attention (Gated DeltaNet), of which Qwen3.5 has three to each with softmax attention.

Arithmetic, not measured: the tensors that flash-linear-attention's chunked kernel and verl's forward around it save.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CHUNK = 64  # tokens in a chunk of the kernel


@dataclass(frozen=True)
class LinearAttention:
    """Linear attention in some layers of a stack.

    Args:
        count: number of these layers.
        heads: number of value heads; the heads of queries and keys are repeated to as many.
        key, value: widths of a head of queries or keys, and of a head of values.
        mixed: width of queries, keys and values before they are repeated: the input of the convolution.
        taps: size of the convolution's kernel.
    """

    count: int
    heads: int
    key: int
    value: int
    mixed: int
    taps: int

    def saved(self, width: int, is_trained: bool) -> int:
        """Return the bytes per token that one layer saves for its backward, without norms and feed-forward.

        They are the projection before and after the convolution, the repeated queries and keys and the values, the
        inverse of each chunk, the decay in float32, and of the gated norm its two inputs and, if trained, its output.

        Args:
            width: bytes of an element of an activation.
            is_trained: whether the weights are trained.
        """
        kernel = self.heads * (2 * self.key + self.value + CHUNK)
        return width * (2 * self.mixed + kernel + (2 + is_trained) * self.heads * self.value) + 4 * self.heads

    @property
    def state(self) -> int:
        """Bytes of a request's state in vLLM, in all layers: the matrices in float32, and the convolution's inputs."""
        return self.count * (4 * self.heads * self.key * self.value + 2 * (self.taps - 1) * self.mixed)


def linear_attention_of(config: Any) -> LinearAttention | None:
    """Read the linear attention from the config of a language model; None if it has none."""
    count = (getattr(config, "layer_types", None) or []).count("linear_attention")
    if not count:
        return None
    heads, key, value = config.linear_num_value_heads, config.linear_key_head_dim, config.linear_value_head_dim
    mixed = 2 * config.linear_num_key_heads * key + heads * value
    return LinearAttention(count, heads, key, value, mixed, config.linear_conv_kernel_dim)
