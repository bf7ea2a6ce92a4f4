"""A Ray cluster of two nodes on one machine, for tests of what a second machine changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ON_BOTH = [
    "trainer.nnodes=2",
    "trainer.n_gpus_per_node=1",
    "ray_kwargs.ray_init.address=null",  # by RAY_ADDRESS
    "ray_kwargs.ray_init.num_cpus=null",  # a cluster that is there has its own numbers
    "ray_kwargs.ray_init.num_gpus=null",
]


@contextmanager
def two_nodes() -> Iterator[tuple[list[str], Callable[[], None]]]:
    """Runs that start inside find the cluster by RAY_ADDRESS.

    Yields the overrides that train on both nodes, and a function that kills the second node's processes.
    """
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        nodes = [cluster.add_node(num_cpus=8, num_gpus=1, include_dashboard=False) for _ in range(2)]
        os.environ["RAY_ADDRESS"] = cluster.address
        yield ON_BOTH, lambda: cluster.remove_node(nodes[1], allow_graceful=False)
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        cluster.shutdown()
