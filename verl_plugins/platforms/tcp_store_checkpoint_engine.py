"""Sends the actor's weights to rollout servers on other devices, for machines without a GPU (separate_async).

verl's engines need CUDA, an NPU or RDMA. This one keeps each bucket of weights in a ``TCPStore`` of the actor's first
rank until every server has read it: for tiny models, whose weights are a few MB.
"""

# pyright: reportPrivateImportUsage=false, reportArgumentType=false, reportAttributeAccessIssue=false
# Untyped there: TCPStore and its bytes in torch, and the decorator of verl's registry.

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from datetime import timedelta
from typing import Any

import ray
import torch
from safetensors.torch import load, save
from verl.checkpoint_engine.base import CheckpointEngine, CheckpointEngineRegistry

BACKEND = "tcp_store"
"""The value of ``rollout.checkpoint_engine.backend`` that selects this engine; ``platform/cpu.yaml`` sets it."""

TIMEOUT = timedelta(minutes=5)
PIECE = 4 << 20
"""Bytes in one entry of the store, which resets the connection at 8 MiB."""


@CheckpointEngineRegistry.register(BACKEND)
class TCPStoreCheckpointEngine(CheckpointEngine):
    """Checkpoint engine over a ``TCPStore``. Only the actor's first rank sends; its weights are whole by then.

    Args:
        bucket_size: bytes of weights that are sent together; a larger tensor is sent alone.
        is_master: this process is the actor's first rank, which holds the store.
    """

    def __init__(self, bucket_size: int, is_master: bool = False) -> None:
        self.bucket_size, self.is_master = bucket_size, is_master
        self.store: torch.distributed.TCPStore | None = None
        self.stored: list[str] = []

    def prepare(self) -> tuple[str, int] | None:
        """Start the store once; returns its address on the first rank, None elsewhere."""
        if not self.is_master:
            return None
        host = ray.util.get_node_ip_address().strip("[]")
        if self.store is None:
            self.store = torch.distributed.TCPStore(host, 0, is_master=True, wait_for_workers=False, timeout=TIMEOUT)
        return host, self.store.port

    @classmethod
    def build_topology(
        cls, actor_wg_world_size: int, rollout_world_size: int, metadata: list[Any]
    ) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
        """Tell every process the store's address, which the actor's first rank has returned."""
        return {"address": [metadata[0]] * actor_wg_world_size}, {"address": [metadata[0]] * rollout_world_size}

    def init_process_group(self, address: tuple[str, int]) -> None:
        """Connect to the store."""
        if self.store is None:
            self.store = torch.distributed.TCPStore(*address, is_master=False, timeout=TIMEOUT)

    def finalize(self) -> None:
        """Drop the stored weights: verl calls this when every server has loaded them."""
        for key in self.stored:
            self._connected().delete_key(key)
        self.stored.clear()

    @torch.no_grad()
    async def send_weights(
        self, weights: Generator[tuple[str, torch.Tensor], None, None], global_steps: int | None = None
    ) -> None:
        """Store the weights in buckets; the other ranks take part in gathering them."""
        bucket: dict[str, torch.Tensor] = {}
        number = 0
        for name, weight in weights:
            if not self.is_master:
                continue
            bucket[name] = weight.detach().cpu().contiguous().clone()
            if sum(tensor.nbytes for tensor in bucket.values()) >= self.bucket_size:
                self._put(f"{global_steps}/{number}", save(bucket))
                bucket, number = {}, number + 1
        if self.is_master:
            if bucket:
                self._put(f"{global_steps}/{number}", save(bucket))
                number += 1
            self._put(f"{global_steps}/{number}", b"")  # the end

    async def receive_weights(self, global_steps: int | None = None) -> AsyncGenerator[tuple[str, torch.Tensor], None]:
        """Yield the names and tensors of the update ``global_steps``, as they arrive."""
        number = 0
        while bucket := await asyncio.to_thread(self._get, f"{global_steps}/{number}"):
            for name, weight in load(bucket).items():
                yield name, weight
            number += 1

    def _put(self, key: str, bucket: bytes) -> None:
        """Store a bucket in pieces, and then their number under its key."""
        pieces = [bucket[start : start + PIECE] for start in range(0, len(bucket), PIECE)]
        entries = {f"{key}/{number}": piece for number, piece in enumerate(pieces)} | {key: str(len(pieces)).encode()}
        for name, entry in entries.items():
            self._connected().set(name, entry)
        self.stored += entries

    def _get(self, key: str) -> bytes:
        """Wait for a bucket; empty after the last one."""
        store = self._connected()
        return b"".join(store.get(f"{key}/{number}") for number in range(int(store.get(key))))

    def _connected(self) -> torch.distributed.TCPStore:
        assert self.store is not None, "verl calls prepare or init_process_group first"
        return self.store
