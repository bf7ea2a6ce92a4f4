"""Rows of verl's TransferQueue: the grammar of their keys, and copies that fill a batch."""

from __future__ import annotations

from typing import NamedTuple

import transfer_queue as tq
from verl.utils import tensordict_utils as tu

PARTITION = "train"
"""Partition of the training rows; validation has its own."""

LABEL = "~"
"""Separates a prompt's uid from the label of a further sampling."""


class RowKey(NamedTuple):
    """Parts of a row's key ``{uid}_{session}_{output}``.

    Args:
        uid: of the prompt, as the data loader gave it.
        sampling: "" for the step's first sampling, else the label of a further one.
        session: number of the response to the prompt, within its sampling.
        output: number of the agent loop's output.
    """

    uid: str
    sampling: str
    session: int
    output: int


def parse_key(key: str) -> RowKey:
    """Split a row's key into its parts."""
    uid, session, output = key.rsplit("_", 2)
    uid, _, sampling = uid.partition(LABEL)
    return RowKey(uid, sampling, int(session), int(output))


def labelled_uid(uid: str, sampling: str) -> str:
    """Return the uid under which a prompt is sampled again in its step."""
    return f"{uid}{LABEL}{sampling}"


def pad_rows(keys: list[str], multiple: int) -> list[str]:
    """Make the number of rows divisible: store copies of the first row, each as a prompt of its own.

    Args:
        keys: rows of the batch, at least one.
        multiple: number of data-parallel ranks.

    Returns:
        Keys of the copies; the caller clears them after use.
    """
    missing = -len(keys) % multiple
    if not missing:
        return []
    row = tq.kv_batch_get([keys[0]], PARTITION)
    padding = [f"padding{number}_0_0" for number in range(missing)]
    for key in padding:
        tu.assign_non_tensor_stack(row, "uid", [parse_key(key).uid])
        tq.kv_batch_put([key], PARTITION, fields=row)
    return padding
