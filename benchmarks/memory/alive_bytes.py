"""Memory that a computation holds at once, counted when tensors are created: nothing needs to be allocated."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class AliveBytes(TorchDispatchMode):
    """Counts, while active, the bytes of all storages that operations return, each for as long as it lives.

    Tensors on the meta device count as if they held numbers.

    Attributes:
        now: bytes alive.
        peak: largest value of ``now`` so far.
    """

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.counted: dict[int, Any] = {}  # address of a live storage -> its finalizer, or None if left out

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        returned = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(returned):
            if isinstance(leaf, torch.Tensor):
                self.count(leaf)
        return returned

    def count(self, tensor: torch.Tensor) -> None:
        """Count the tensor's storage from now until it is freed."""
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address not in self.counted:
            self.counted[address] = weakref.finalize(storage, self._forget, address, size)
            self.now += size
            self.peak = max(self.peak, self.now)

    def leave_out(self, tensor: torch.Tensor) -> None:
        """Never count the tensor's storage, which the caller keeps alive."""
        self.counted[tensor.untyped_storage()._cdata] = None

    def _forget(self, address: int, size: int) -> None:
        del self.counted[address]
        self.now -= size
