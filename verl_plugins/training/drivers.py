"""The drivers of a run's methods, and the one request that they make of the engine in a step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from omegaconf import DictConfig
from transfer_queue import KVBatchMeta

from verl_plugins.components.requests import REQUEST, ForwardRequest
from verl_plugins.methods import METHODS
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.method import Driver


def build_drivers(config: DictConfig) -> dict[str, Driver]:
    """Create the driver of each method whose node ``algorithm.<method>`` is in the config, in the order of METHODS."""
    return {
        name: method.build_driver(config, config_from_node(method.config, config.algorithm[name], f"algorithm.{name}"))
        for name, method in METHODS.items()
        if config.algorithm.get(name) is not None
    }


def shared_request(
    drivers: Mapping[str, Driver], step: int, total_steps: int, metrics: dict[str, Any]
) -> ForwardRequest | None:
    """Return the request that the engine computes with the old log-probabilities of ``step``, None if there is none.

    Raises:
        ValueError: two methods make different requests; the engine computes one second forward per step.
    """
    requests = {name: driver.log_prob_request(step, total_steps, metrics) for name, driver in drivers.items()}
    requests = {name: request for name, request in requests.items() if request is not None}
    first = next(iter(requests.values()), None)
    if any(request != first for request in requests.values()):
        lines = ", ".join(f"{name} {request}" for name, request in requests.items())
        raise ValueError(
            f"method: got different second forwards ({lines}), expected one that all of them share; start the run with "
            f"one of {', '.join(requests)}, or set the same knobs for their forwards"
        )
    return first


@contextmanager
def carrying(batch: KVBatchMeta, request: ForwardRequest | None) -> Iterator[None]:
    """Let the workers' next forward on ``batch`` run ``request``; the forwards after it are verl's own again."""
    if request is None:
        yield
        return
    carried = batch.extra_info = {**(batch.extra_info or {}), REQUEST: request}
    yield
    del carried[REQUEST]  # also from a batch that verl returns with the same extra_info
