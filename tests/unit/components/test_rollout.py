"""Seeds of single requests: repeatable, different for each response."""

from __future__ import annotations

import asyncio
from itertools import product
from types import SimpleNamespace

from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from verl_plugins.components.agent_loops import SeededSingleTurnAgentLoop
from verl_plugins.seeds import seed_of


def test_each_response_has_a_seed_of_its_own_that_repeats():
    keys = list(product((0, 1), (1, 2, 11), (0, 1, 12), (0, 1, 2)))
    seeds = [seed_of(*key) for key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [seed_of(*key) for key in keys]
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_agent_loop_asks_for_seeded_samples_and_leaves_the_shared_parameters_alone(monkeypatch):
    asked = []

    async def run(self, sampling_params, priority=0, **kwargs):
        asked.append(sampling_params)

    monkeypatch.setattr(SingleTurnAgentLoop, "run", run)
    loop = object.__new__(SeededSingleTurnAgentLoop)
    loop.rollout_config = SimpleNamespace(seed=3)
    shared = {"temperature": 1.0}
    for session_id in (0, 1):
        asyncio.run(loop.run(shared, global_steps=5, index=7, session_id=session_id))
    assert asked == [{"temperature": 1.0, "seed": seed_of(3, 5, 7, session_id)} for session_id in (0, 1)]
    assert shared == {"temperature": 1.0}
