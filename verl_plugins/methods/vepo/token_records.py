"""Records of VEPO's selection, token by token, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

ROWS = 64
"""Number of a step's responses that are written."""


def token_records(
    tokenizer: Any,
    responses: list[Tensor],
    prompts: list[Tensor],
    signals: Mapping[str, Tensor],
    rewards: Tensor,
    groups: Tensor,
) -> list[dict]:
    """Build one record per response.

    Args:
        tokenizer: decodes single tokens.
        responses, prompts: token ids of each row, without padding.
        signals: named (B, T) tensors; "kept" is the weight of a kept token's advantage, else 0.
        rewards, groups: (B,).
    """
    records = []
    for row, response in enumerate(responses):
        length = len(response)
        numbers = {name: [round(x, 5) for x in values[row, :length].tolist()] for name, values in signals.items()}
        records.append(
            {
                "group": int(groups[row]),
                "prompt": tokenizer.decode(prompts[row], skip_special_tokens=True),
                "reward": round(float(rewards[row]), 5),
                "tokens": [tokenizer.decode([token]) for token in response.tolist()],
                **numbers,
            }
        )
    return records
