"""``algorithm.extra_fields``: columns of the batch for an advantage estimator.

verl's V1 trainer gives an estimator the rewards, the mask and the groups alone, so that an estimator of one's own never
sees the entropy, and verl's ``gdpo`` not the parts of the reward that it normalises. Here verl calls an estimator of
this package, which calls the configured one with the columns added to its keyword arguments.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from omegaconf import DictConfig
from torch import Tensor
from transfer_queue import KVBatchMeta
from verl.trainer.ppo.core_algos import get_adv_estimator_fn

from verl_plugins.training.rows import padded_tensors
from verl_plugins.training.signals import expect_columns

KEY = "algorithm.extra_fields"
ESTIMATOR = "verl_plugins_extra_fields"
"""Name of ``estimate`` in verl's registry."""

_columns: ContextVar[Mapping[str, Any]] = ContextVar("columns")


class ExtraFields:
    """The columns that a run's estimator asks for. Changes nothing in a run that sets no ``algorithm.extra_fields``.

    Args:
        config: of the run; ``algorithm.adv_estimator`` is replaced by ``ESTIMATOR``.
    """

    def __init__(self, config: DictConfig):
        self.names: list[str] = list(config.algorithm.get("extra_fields") or ())
        if self.names:
            config.algorithm.extra_estimator = str(config.algorithm.adv_estimator)
            config.algorithm.adv_estimator = ESTIMATOR

    @contextmanager
    def of(self, batch: KVBatchMeta) -> Iterator[None]:
        """Give the rows' columns to the estimator that verl calls inside."""
        if not self.names:
            yield
            return
        token = _columns.set(fetch(batch, self.names))
        yield
        _columns.reset(token)


def fetch(batch: KVBatchMeta, names: list[str]) -> dict[str, Any]:
    """Fetch columns from the TransferQueue.

    Args:
        batch: B rows.
        names: of values that the reward function returns, or of per-token columns.

    Returns:
        By name: a (B,) numpy array for a value of the reward, a (B, T) tensor for a per-token column, which is cut to
        the response if it spans the prompt, too.

    Raises:
        ValueError: a column that is neither, or a value that the reward returned for some rows alone.
    """
    where = {"keys": batch.keys, "partition_id": batch.partition_id}
    fields = tq.kv_batch_get(**where, select_fields=["extra_fields"]).pop("extra_fields").tolist()
    infos = [row.get("reward_extra_info") or {} for row in fields]
    of_reward = [name for name in names if any(name in info for info in infos)]
    for name in of_reward:
        missing = sum(name not in info for info in infos)
        if missing:
            raise ValueError(
                f"{KEY}: got {name} from the reward of {len(infos) - missing} rows, and none for {missing}, expected "
                f"it for each; return it for every data source, or set {KEY}"
            )
    columns: dict[str, Any] = {name: np.array([info[name] for info in infos]) for name in of_reward}
    per_token = [name for name in names if name not in columns]
    if per_token:
        data = tq.kv_batch_get(**where, select_fields=["response_mask", *per_token])
        expect_columns(data, per_token)
        with_prompt = [name for name in per_token if _length(data[name]) != _length(data["response_mask"])]
        padded = padded_tensors(data, with_prompt)
        columns |= {name: padded[name] for name in per_token}
    return columns


def _length(nested: Any) -> int:
    return int(nested.offsets()[-1])


def estimate(*, config: Any, response_mask: Tensor, **given: Any) -> tuple[Tensor, Tensor]:
    """Call the run's estimator with what verl passes and the columns.

    An estimator with parameters ``batch`` and ``non_tensor_batch``, as verl's ``gdpo``, gets the columns in these two,
    as in verl's earlier trainer: tensors there with the (B, 0) ``prompts`` and the ``attention_mask`` of the
    responses, arrays here.
    """
    estimator: Callable[..., tuple[Tensor, Tensor]] = get_adv_estimator_fn(config.extra_estimator)
    columns = _columns.get()
    if {"batch", "non_tensor_batch"} <= inspect.signature(estimator).parameters.keys():
        empty_prompts = torch.zeros(len(response_mask), 0, dtype=torch.int64)
        tensors = {name: value for name, value in columns.items() if isinstance(value, Tensor)}
        tensors |= {"prompts": empty_prompts, "attention_mask": response_mask.long()}
        columns = {"batch": tensors, "non_tensor_batch": {n: v for n, v in columns.items() if n not in tensors}}
    return estimator(config=config, response_mask=response_mask, **given, **columns)
