"""Single-turn agent loops: for models with images that verl does not know, and with one sampling seed per response."""

from __future__ import annotations

from typing import Any

from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from verl_plugins import internvl
from verl_plugins.seeds import seed_of


class ImageSingleTurnAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn agent loop, which also samples InternVL3 (-hf)."""

    def __init__(self, *args, hf_model_type: str | None = None, **kwargs):
        super().__init__(*args, hf_model_type=hf_model_type, **kwargs)
        if hf_model_type == internvl.MODEL_TYPE:
            self.server_manager: Any = internvl.InternVLClient(self.server_manager, self.processor)


class SeededSingleTurnAgentLoop(ImageSingleTurnAgentLoop):
    """Single-turn agent loop with one sampling seed per response, keyed by (seed, step, row, response).

    Two runs with the same ``rollout.seed`` draw the same random numbers for the same prompt of the same step, whatever
    the order in which requests arrive, so they can be compared pairwise. verl's ``rollout.full_determinism`` gives all
    requests of a server one seed, which makes the responses of a group equal. vLLM samples seeded requests one by one,
    which costs throughput on a GPU; there the loop is selected by
    ``rollout.agent.default_agent_loop=seeded_single_turn_agent``. It is the default on the CPU platform.
    """

    first_session = 0
    """Responses to the prompt that were sampled before; seeds continue from it."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        """Sample one response."""
        session = self.first_session + kwargs["session_id"]
        key = (self.rollout_config.seed, kwargs["global_steps"], kwargs["index"], session)
        seeded = {**sampling_params, "seed": seed_of(*key)}
        return await super().run(seeded, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]  decorated
