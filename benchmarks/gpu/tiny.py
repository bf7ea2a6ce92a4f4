"""The unit tests' engine around the demo's untrained model, with padded and with packed rows, without pytest."""

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
    """Do to the engine's model what ``engine_class`` does to the one that verl builds."""
    engine.__class__ = engine_class
    with mock.patch.object(FSDPEngineWithLMHead, "_build_module", lambda engine: engine.module):
        engine._build_module()


@contextmanager
def packed_rows() -> Iterator[None]:
    """Qwen2.5-VL runs verl's forward of packed rows, with torch's attention in place of flash-attn's."""
    with ExitStack() as stack:

        class Patch:
            """What ``pack_as_verl_does`` needs of pytest's ``monkeypatch``."""

            @staticmethod
            def setattr(target: Any, name: str, value: Any, raising: bool = True) -> None:
                stack.enter_context(mock.patch.object(target, name, value, create=not raising))

        pack_as_verl_does(Patch)
        stack.enter_context(mock.patch.object(qwen2_vl, "flash_attn_varlen_func", attend_within_rows))
        yield


def attend_within_rows(q: Tensor, k: Tensor, v: Tensor, cu_seqlens_q: Tensor, causal: bool, **_: Any) -> Tensor:
    """``flash_attn_varlen_func`` on (total tokens, heads, head size) each.

    Four dimensions (1, heads, tokens, head size), because torch's own flash kernel takes no fewer.
    """
    rows = []
    for start, stop in pairwise(cu_seqlens_q.tolist()):
        parts = (part[None, start:stop].transpose(1, 2) for part in (q, k, v))
        rows.append(scaled_dot_product_attention(*parts, is_causal=causal).transpose(1, 2)[0])
    return torch.cat(rows)
