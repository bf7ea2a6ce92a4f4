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
END = b""
"""Stored after the last bucket."""


@CheckpointEngineRegistry.register(BACKEND)
class TCPStoreCheckpointEngine(CheckpointEngine):
    """Checkpoint engine over a ``TCPStore``. Only the actor's first rank sends; its weights are whole by then.

    Args:
        bucket_size: bytes of weights in one entry of the store; a larger tensor has an entry of its own.
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
        for name, weight in weights:
            if not self.is_master:
                continue
            bucket[name] = weight.detach().cpu().contiguous().clone()
            if sum(tensor.nbytes for tensor in bucket.values()) >= self.bucket_size:
                self._put(global_steps, save(bucket))
                bucket = {}
        if self.is_master:
            if bucket:
                self._put(global_steps, save(bucket))
            self._put(global_steps, END)

    async def receive_weights(self, global_steps: int | None = None) -> AsyncGenerator[tuple[str, torch.Tensor], None]:
        """Yield the names and tensors of the update ``global_steps``, as they arrive."""
        store, number = self._connected(), 0
        while (entry := await asyncio.to_thread(store.get, _key(global_steps, number))) != END:
            for name, weight in load(entry).items():
                yield name, weight
            number += 1

    def _put(self, global_steps: int | None, entry: bytes) -> None:
        key = _key(global_steps, len(self.stored))
        self._connected().set(key, entry)
        self.stored.append(key)

    def _connected(self) -> torch.distributed.TCPStore:
        assert self.store is not None, "verl calls prepare or init_process_group first"
        return self.store


def _key(global_steps: int | None, number: int) -> str:
    return f"{global_steps}/{number}"
