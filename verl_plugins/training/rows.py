"""Rows of a step: their order, and from the TransferQueue's nested tensors to the ``AdvantageBatch`` of the methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
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

    Rows arrive in the order in which their requests ended; sums over them would differ in the last bits. Prompts that
    this run has not submitted, because a checkpoint held them, come first, in the order of their first rows. A batch
    without a submitted prompt, which verl replays from a file, stays as it is.

    Args:
        prompt_order: position of each submitted prompt by its uid.
    """
    keys = [parse_key(key) for key in batch.keys]
    if not any(key.uid in prompt_order for key in keys):
        return
    restored = list(dict.fromkeys(key.uid for key in keys if key.uid not in prompt_order))
    order = {uid: position - len(restored) for position, uid in enumerate(restored)} | dict(prompt_order)
    places = [(order[key.uid], key.sampling, key.session, key.output) for key in keys]
    batch.reorder(sorted(range(len(batch)), key=places.__getitem__))


def last_outputs(keys: Sequence[str]) -> Tensor:
    """Locate the last output of each row's response, whose reward verl's GRPO gives to all outputs of the response.

    Args:
        keys: of the rows, each ``{uid}_{session}_{output}``.

    Returns:
        (B,) int64: for each row, the index of the row that holds the last output of the same response.
    """
    parsed = [parse_key(key) for key in keys]
    last: dict[tuple, int] = {}
    for index, key in sorted(enumerate(parsed), key=lambda pair: pair[1].output):
        last[key[:3]] = index
    return torch.tensor([last[key[:3]] for key in parsed])


def loss_aggregation(actor: Any) -> str:
    """Return the aggregation over tokens that verl's policy loss uses.

    Args:
        actor: config node ``actor_rollout_ref.actor``.
    """
    return "seq-mean-token-mean" if actor.policy_loss.loss_mode == "sapo" else actor.loss_agg_mode


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
    padded: Any,
    groups: Tensor,
    infos: Sequence[dict],
    columns: Sequence[str],
    row_columns: Mapping[str, Tensor],
    last: Tensor,
    loss_agg_mode: str,
) -> AdvantageBatch:
    """Assemble the batch that the methods see.

    Args:
        padded: (B, T) tensors by name, see ``padded_tensors``.
        groups: (B,) int64, group of each row.
        infos: values that the reward function returned for each row.
        columns: names of further (B, T) tensors in ``padded``, as far as they are there.
        row_columns: further (B,) tensors by name.
        last: see ``last_outputs``.
        loss_agg_mode: see ``loss_aggregation``.
    """
    is_last = last == torch.arange(len(last))
    return AdvantageBatch(
        advantages=padded["advantages"],
        response_mask=padded["response_mask"],
        old_log_probs=padded["old_log_probs"],
        rewards=padded["rm_scores"].sum(dim=-1)[last],
        groups=groups,
        reward_components=reward_components([infos[row] for row in last.tolist()]),
        entropy=padded.get("entropy", None),
        rollout_log_probs=padded.get("rollout_log_probs", None),
        columns={**{name: padded[name] for name in columns if name in padded}, **row_columns},
        is_last_output=None if is_last.all() else is_last,
        loss_agg_mode=loss_agg_mode,
    )


def reward_components(infos: Sequence[dict]) -> dict[str, Tensor]:
    """Collect the numbers, numpy's included, that the reward function returned beside the score: (B,) float by name.

    A response without a number of that name has 0.
    """
    rows = [{name: float(value) for name, value in info.items() if isinstance(value, Real)} for info in infos]
    names = sorted({name for row in rows for name in row})
    return {name: torch.tensor([row.get(name, 0.0) for row in rows]) for name in names}
