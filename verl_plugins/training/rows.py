"""Rows of a step: their order, and from the TransferQueue's nested tensors to the ``AdvantageBatch`` of the methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDict
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.protocol import DataProto
from verl.workers.utils.padding import response_from_nested

from verl_plugins.components.transfer_queue import parse_key
from verl_plugins.methods.batch import AdvantageBatch


def sort_rows(batch: KVBatchMeta, prompt_order: Mapping[str, int]) -> None:
    """Sort a batch in place by prompt, sampling, response and output.

    Rows arrive in the order in which their requests ended; sums over them would differ in the last bits. Rows that verl
    replays from a file stay in their order.

    Args:
        prompt_order: position of each prompt in the step by its uid.
    """
    keys = [parse_key(key) for key in batch.keys]
    if all(key.uid in prompt_order for key in keys):
        places = [(prompt_order[key.uid], key.sampling, key.session, key.output) for key in keys]
        batch.reorder(sorted(range(len(batch)), key=places.__getitem__))


def padded_tensors(data: TensorDict, columns: Sequence[str]) -> Any:
    """Pad the nested rows to (B, T) tensors by name.

    Args:
        data: nested rows.
        columns: names that span prompt and response in ``data``, and are cut to the response.
    """
    for name in columns:
        if name in data:
            data[name] = response_from_nested(data[name], data["response_mask"])
    return DataProto(batch=data.to_padded_tensor()).batch


def advantage_batch(
    padded: Any, groups: Tensor, infos: list[dict], columns: Sequence[str], row_columns: Mapping[str, Tensor]
) -> AdvantageBatch:
    """Assemble the batch that the methods see.

    Args:
        padded: (B, T) tensors by name, see ``padded_tensors``.
        groups: (B,) int64, group of each row.
        infos: values that the reward function returned for each row.
        columns: names of further (B, T) tensors in ``padded``, as far as they are there.
        row_columns: further (B,) tensors by name.
    """
    return AdvantageBatch(
        advantages=padded["advantages"],
        response_mask=padded["response_mask"],
        old_log_probs=padded["old_log_probs"],
        rewards=padded["rm_scores"].sum(dim=-1),
        groups=groups,
        reward_components=reward_components(infos),
        entropy=padded["entropy"],
        rollout_log_probs=padded.get("rollout_log_probs", None),
        columns={**{name: padded[name] for name in columns if name in padded}, **row_columns},
    )


def reward_components(infos: list[dict]) -> dict[str, Tensor]:
    """Collect the numbers that the reward function returned beside the score, each (B,) float."""
    names = {name for info in infos for name, value in info.items() if isinstance(value, int | float)}
    return {name: torch.tensor([float(info.get(name) or 0.0) for info in infos]) for name in sorted(names)}
