"""Agent loops of SaEI's second sampling, on adversarial images."""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakValueDictionary

import transfer_queue as tq
from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

from verl_plugins.components.agent_loops import ImageSingleTurnAgentLoop, SeededSingleTurnAgentLoop
from verl_plugins.components.transfer_queue import PARTITION
from verl_plugins.methods.saei.second_sampling import PIXELS, SECOND_SAMPLING, SIZES, SecondSampling


class AdversarialImages(ImageSingleTurnAgentLoop):
    """Mix-in for an agent loop: samples on the images that the attack stored in the TransferQueue."""

    images: list[Image.Image] | None = None

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        """Sample one response on the adversarial images, and return it with the images for the update."""
        second_sampling: SecondSampling = kwargs[SECOND_SAMPLING]
        self.first_session = second_sampling["first_session"]
        key = second_sampling["key"]
        if key is not None:
            fetch = _FETCHES.get(key)  # the responses to a prompt start together: one fetch serves them all
            if fetch is None:
                fetch = _FETCHES[key] = asyncio.ensure_future(fetch_images(key))
            self.images = await fetch
        output = await super().run(sampling_params, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]
        if second_sampling["update"] == "clean":
            output.multi_modal_data = await super().process_multi_modal_info(list(kwargs["raw_prompt"]))
        return output

    async def process_multi_modal_info(self, messages: list[dict]) -> dict:
        """Return the adversarial images without verl's resizing: they have the size that the processor gave the clean
        ones."""
        if self.images is None:
            return await super().process_multi_modal_info(messages)
        return {"images": self.images}


class AdversarialSingleTurnAgentLoop(AdversarialImages):
    """``single_turn_agent`` and ``image_single_turn_agent`` on adversarial images."""


class AdversarialSeededSingleTurnAgentLoop(AdversarialImages, SeededSingleTurnAgentLoop):
    """``seeded_single_turn_agent`` on adversarial images."""


_FETCHES: WeakValueDictionary[str, asyncio.Future] = WeakValueDictionary()
"""Fetches that a response still waits for, by row key."""


async def fetch_images(key: str) -> list[Image.Image]:
    """Read the RGB images that the attack stored in the row ``key`` of the TransferQueue."""
    data: Any = await tq.async_kv_batch_get(keys=[key], partition_id=PARTITION, select_fields=[PIXELS, SIZES])
    sizes = data[SIZES][0].reshape(-1, 2).tolist()
    parts = data[PIXELS][0].split([3 * height * width for height, width in sizes])
    return [
        Image.fromarray(part.view(3, *size).permute(1, 2, 0).numpy()) for part, size in zip(parts, sizes, strict=True)
    ]
