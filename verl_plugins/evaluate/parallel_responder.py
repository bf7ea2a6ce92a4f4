"""Several copies of the model, each with devices of its own, on one machine or over a Ray cluster.

A batch of rows is answered by one copy as a whole, and the responses come back in the order of the batches. So which
copy answered does not matter, and the results are the same bytes as those of one copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.types import Row
from verl_plugins.evaluate.device import is_cpu_build, prepare_environment
from verl_plugins.evaluate.responder import Batch, ImageAttack, Responder, Response, VllmResponder
from verl_plugins.evaluate.settings import Settings

BATCHES_AHEAD = 2
"""Batches that are sent out for each copy: one that it answers, and one that waits for it."""


@dataclass(frozen=True)
class Copies:
    """How many copies of the model answer, and where.

    Args:
        number: copies of the model.
        tensor_parallel_size: GPUs of each copy.
        ray_address: address of a Ray cluster, or "auto" for that of this machine; None for a Ray of the evaluation's
            own.

    Raises:
        SystemExit: a number below 1.
    """

    number: int = 1
    tensor_parallel_size: int = 1
    ray_address: str | None = None

    def __post_init__(self) -> None:
        for option, value in (
            ("--data-parallel", self.number),
            ("--tensor-parallel-size", self.tensor_parallel_size),
        ):
            if value < 1:
                raise SystemExit(f"{option}: got {value}, expected a whole number from 1")


def start_responder(folder: Path, settings: Settings, copies: Copies) -> Responder:
    """Return the responder of an evaluation: vLLM in this process, or copies of it in Ray's."""
    if copies.number == 1 and copies.ray_address is None:
        return VllmResponder(folder, settings, copies.tensor_parallel_size)
    return ParallelResponder(folder, settings, copies)


class ParallelResponder(Responder):
    """Sends each batch to a copy of the model that is idle; the copies start with the first batch."""

    def __init__(self, folder: Path, settings: Settings, copies: Copies):
        self.folder, self.settings, self.copies = folder.resolve(), settings, copies
        self._actors: list[Any] = []

    def __call__(self, rows: Sequence[Row], keys: Sequence[str], attack: ImageAttack | None) -> list[Response]:
        (responses,) = self.answers([(rows, keys)], attack)
        return responses

    def answers(self, batches: Iterable[Batch], attack: ImageAttack | None) -> Iterator[list[Response]]:
        """Yield the responses of each batch, in order.

        Raises:
            SystemExit: a copy failed, or the cluster is smaller than the copies need.
        """
        from ray.exceptions import RayError
        from ray.util import ActorPool

        self._actors = self._actors or self._start()
        pool, ahead = ActorPool(self._actors), 0
        try:
            for batch in batches:
                pool.submit(lambda actor, each: actor.respond.remote(*each, attack), batch)
                ahead += 1
                if ahead == BATCHES_AHEAD * len(self._actors):
                    yield pool.get_next()
                    ahead -= 1
            while pool.has_next():
                yield pool.get_next()
        except RayError as problem:
            raise SystemExit(
                f"--data-parallel {self.copies.number}: got a copy of the model that failed, expected responses. What "
                "is written is kept; mend the cause (Ray's logs hold what the copies printed), and start "
                f"the same command again\n{problem}"
            ) from problem

    def release(self) -> None:
        """End the copies."""
        import ray

        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _start(self) -> list[Any]:
        import ray

        prepare_environment()
        _join_ray(self.copies)
        size = self.copies.tensor_parallel_size
        device, each = ("CPU", 1) if is_cpu_build() else ("GPU", size)
        number, there = self.copies.number, int(ray.cluster_resources().get(device, 0))
        if there < number * each:
            raise SystemExit(
                f"--data-parallel {number}: got {there} {device}s, expected {number * each}, {each} for each copy of "
                f"the model; set --data-parallel {there // each}, or --ray-address of a larger cluster"
            )
        resources: dict[str, Any] = {"num_cpus": 1} if device == "CPU" else {"num_gpus": each}
        actor: Any = ray.remote(**resources, scheduling_strategy="SPREAD")(_Copy)
        return [actor.remote(self.folder, self.settings, size) for _ in range(number)]


def _join_ray(copies: Copies) -> None:
    """Join the Ray cluster at the address, or start a Ray on this machine that ends with this process."""
    import ray

    if ray.is_initialized():
        return
    if copies.ray_address is not None:
        ray.init(copies.ray_address, log_to_driver=False)
    elif is_cpu_build():  # copies share the cores
        ray.init("local", num_cpus=copies.number, include_dashboard=False, log_to_driver=False)
    else:
        ray.init("local", include_dashboard=False, log_to_driver=False)


class _Copy:
    """One copy of the model, in a process of its own."""

    def __init__(self, folder: Path, settings: Settings, tensor_parallel_size: int):
        prepare_environment()
        self.responder = VllmResponder(folder, settings, tensor_parallel_size)

    def respond(self, rows: Sequence[Row], keys: Sequence[str], attack: ImageAttack | None) -> list[Response]:
        """Answer one batch."""
        return self.responder(rows, keys, attack)
