"""The CPU's checkpoint engine: every server gets every weight of an update, and nothing is kept."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from verl.checkpoint_engine.base import CheckpointEngineRegistry

from verl_plugins.platforms.tcp_store_checkpoint_engine import BACKEND


def weights(step):
    generator = torch.Generator().manual_seed(step)
    yield "embedding", torch.randn(1 << 20, 3, generator=generator)  # 12 MiB: more than one entry of the store takes
    yield "bias", torch.randn((), generator=generator).bfloat16()
    yield "transposed", torch.randn(3, 5, generator=generator).T
    yield "empty", torch.zeros(0, 4)


def new_engine(**settings):
    return CheckpointEngineRegistry.new(BACKEND, **settings)


async def received(engine, step):
    return {name: weight async for name, weight in engine.receive_weights(global_steps=step)}


@pytest.mark.parametrize("bucket_size", [1, 100, 1 << 20])
def test_every_server_gets_the_weights_of_each_update(monkeypatch, bucket_size):
    monkeypatch.setattr("ray.util.get_node_ip_address", lambda: "127.0.0.1")
    first, second = new_engine(bucket_size=bucket_size, is_master=True), new_engine(bucket_size=bucket_size)
    servers = [new_engine(bucket_size=bucket_size) for _ in range(2)]
    for step in (0, 1):
        metadata = [engine.prepare() for engine in (first, second, *servers)]
        for_actors, for_servers = type(first).build_topology(2, 2, metadata)
        addresses = for_actors["address"] + for_servers["address"]
        for engine, address in zip((first, second, *servers), addresses, strict=True):
            engine.init_process_group(address)
        with ThreadPoolExecutor() as threads:  # the servers wait for what is still to be sent
            waiting = [threads.submit(asyncio.run, received(server, step)) for server in servers]
            asyncio.run(first.send_weights(weights(step), global_steps=step))
            asyncio.run(second.send_weights(weights(step), global_steps=step))
            got = [server.result(timeout=60) for server in waiting]
        for engine in (first, second, *servers):
            engine.finalize()
        for update in got:
            assert update.keys() == {name for name, _ in weights(step)}
            for name, weight in weights(step):
                assert update[name].dtype == weight.dtype and torch.equal(update[name], weight)
    assert not first.store.check(["0/0"]) and not first.store.check(["1/0"])
