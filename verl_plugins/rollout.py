"""Sampling that can be repeated: an agent loop which gives each request a seed of its own."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop


class SeededSingleTurnAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn agent loop with a sampling seed per response, keyed by what a resumed run repeats.

    Two runs with one ``rollout.seed`` draw the same random numbers for the same prompt of the same step, whatever the
    order in which requests arrive, so they can be compared pairwise. verl's ``rollout.full_determinism`` gives all
    requests of a server one seed, which makes the responses of a group equal. vLLM samples seeded requests one by one:
    on a GPU this costs throughput, so it is chosen by ``rollout.agent.default_agent_loop=seeded_single_turn_agent``
    there, and is the default on the CPU platform.
    """

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        key = (self.rollout_config.seed, kwargs["global_steps"], kwargs["index"], kwargs["session_id"])
        seeded = {**sampling_params, "seed": request_seed(*key)}
        return await super().run(seeded, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]  decorated


def request_seed(seed: int, step: int, index: int | str, session_id: int) -> int:
    """A seed in [0, 2**63) for response ``session_id`` to the data set's row ``index`` in ``step``."""
    digest = blake2b(f"{seed}/{step}/{index}/{session_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
