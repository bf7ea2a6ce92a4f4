"""The unit tests' engine around the demo's untrained model, with padded or packed rows, without pytest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import torch
from tiny_engine import build_engine, micro_batch, pack_as_verl_does
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from verl.models.transformers import qwen2_vl
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from verl_plugins.training.engine import EntropyEngine

__all__ = ["as_built", "build_engine", "micro_batch", "packed_rows"]


def as_built(engine: Any, engine_class: type[EntropyEngine]) -> None:
    """Change the engine's class and do to its model what the class does to one that verl builds."""
    engine.__class__ = engine_class
    with mock.patch.object(FSDPEngineWithLMHead, "_build_module", lambda engine: engine.module):
        engine._build_module()


@contextmanager
def packed_rows() -> Iterator[None]:
    """Let Qwen2.5-VL run verl's forward of packed rows, with torch's attention in place of flash-attn's."""
    with ExitStack() as stack:

        class Patch:
            """The part of pytest's ``monkeypatch`` that ``pack_as_verl_does`` needs."""

            @staticmethod
            def setattr(target: Any, name: str, value: Any, raising: bool = True) -> None:
                stack.enter_context(mock.patch.object(target, name, value, create=not raising))

        pack_as_verl_does(Patch)
        stack.enter_context(mock.patch.object(qwen2_vl, "flash_attn_varlen_func", attend_within_rows))
        yield


def attend_within_rows(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, causal: bool, **_: Any) -> Tensor:
    """Compute ``flash_attn_varlen_func`` with torch's attention.

    Inside, tensors have four dimensions (1, heads, tokens, head size), because torch's flash kernel needs them.

    Args:
        q, k, v: (total tokens, heads, head size) each.
        cu_seqlens_q: (rows + 1,), where rows start and end.
        causal: whether a token attends only to earlier ones.
    """
    rows = []
    for start, stop in pairwise(cu_seqlens_q.tolist()):
        parts = (part[None, start:stop].transpose(1, 2) for part in (q, k, v))
        rows.append(scaled_dot_product_attention(*parts, is_causal=causal).transpose(1, 2)[0])
    return torch.cat(rows)
