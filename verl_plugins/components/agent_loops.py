"""Agent loops: sampling that can be repeated, and sampling on images other than the data set's."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakValueDictionary

import transfer_queue as tq
from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from verl_plugins import internvl
from verl_plugins.methods.saei.second_sampling import SECOND_SAMPLING, SecondSampling
from verl_plugins.seeds import seed_of
from verl_plugins.training import PIXELS, SIZES


class ImageSingleTurnAgentLoop(SingleTurnAgentLoop):
    """verl's single-turn agent loop, for InternVL3 (-hf) too."""

    def __init__(self, *args, hf_model_type: str | None = None, **kwargs):
        super().__init__(*args, hf_model_type=hf_model_type, **kwargs)
        if hf_model_type == internvl.MODEL_TYPE:
            self.server_manager: Any = internvl.InternVLClient(self.server_manager, self.processor)


class SeededSingleTurnAgentLoop(ImageSingleTurnAgentLoop):
    """verl's single-turn agent loop with a sampling seed per response, keyed by what a resumed run repeats.

    Two runs with one ``rollout.seed`` draw the same random numbers for the same prompt of the same step, whatever the
    order in which requests arrive, so they can be compared pairwise. verl's ``rollout.full_determinism`` gives all
    requests of a server one seed, which makes the responses of a group equal. vLLM samples seeded requests one by one:
    on a GPU this costs throughput, so it is chosen by ``rollout.agent.default_agent_loop=seeded_single_turn_agent``
    there, and is the default on the CPU platform.
    """

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        again: SecondSampling | None = kwargs.get(SECOND_SAMPLING)
        session = kwargs["session_id"] + (again["first_session"] if again else 0)
        key = (self.rollout_config.seed, kwargs["global_steps"], kwargs["index"], session)
        seeded = {**sampling_params, "seed": seed_of(*key)}
        return await super().run(seeded, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]  decorated


class AdversarialImages(ImageSingleTurnAgentLoop):
    """Samples on the images that the attack left in the TransferQueue; goes before another agent loop."""

    pictures: list[Image.Image] | None = None

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        again: SecondSampling = kwargs[SECOND_SAMPLING]
        key = again["key"]
        if key is not None:
            fetch = _FETCHES.get(key)  # the responses to a prompt start together: one fetch serves them all
            if fetch is None:
                fetch = _FETCHES[key] = asyncio.ensure_future(fetch_pictures(key))
            self.pictures = await fetch
        output = await super().run(sampling_params, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]
        if again["update"] == "clean":
            output.multi_modal_data = await super().process_multi_modal_info(list(kwargs["raw_prompt"]))
        return output

    async def process_multi_modal_info(self, messages: list[dict]) -> dict:
        """The adversarial pictures, past verl's resizing: they have the size that the processor gave the clean ones."""
        if self.pictures is None:
            return await super().process_multi_modal_info(messages)
        return {"images": self.pictures}


class AdversarialSingleTurnAgentLoop(AdversarialImages):
    """``single_turn_agent`` and ``image_single_turn_agent`` on adversarial images."""


class AdversarialSeededSingleTurnAgentLoop(AdversarialImages, SeededSingleTurnAgentLoop):
    """``seeded_single_turn_agent`` on adversarial images."""


_FETCHES: WeakValueDictionary[str, asyncio.Future] = WeakValueDictionary()  # those that a response still waits for


async def fetch_pictures(key: str) -> list[Image.Image]:
    """The pictures that the attack left in the row ``key`` of the TransferQueue, RGB."""
    data: Any = await tq.async_kv_batch_get(keys=[key], partition_id="train", select_fields=[PIXELS, SIZES])
    sizes = data[SIZES][0].reshape(-1, 2).tolist()
    parts = data[PIXELS][0].split([3 * height * width for height, width in sizes])
    return [
        Image.fromarray(part.view(3, *size).permute(1, 2, 0).numpy()) for part, size in zip(parts, sizes, strict=True)
    ]
