"""verl's own forwards of a model, which verl puts into Transformers' classes, until a test is over."""

from __future__ import annotations

from typing import Any

import transformers
from transformers.integrations import flash_attention
from verl.models.transformers.monkey_patch import apply_monkey_patch

FAMILIES = ("internvl", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")


def patch_as_verl_does(monkeypatch, model, **settings: Any) -> None:
    """Call verl's ``apply_monkey_patch(model, **settings)``; ``monkeypatch`` restores the classes."""
    for name in FAMILIES:
        for part in vars(getattr(getattr(transformers.models, name), f"modeling_{name}")).values():
            for method in ("forward", "fast_pos_embed_interpolate"):
                if isinstance(part, type) and method in vars(part):
                    monkeypatch.setattr(part, method, vars(part)[method])  # so that it is put back
    monkeypatch.setattr(flash_attention, "_flash_attention_forward", flash_attention._flash_attention_forward)
    apply_monkey_patch(model, **settings)
