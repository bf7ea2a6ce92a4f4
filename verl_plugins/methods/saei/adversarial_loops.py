"""Agent loops of SaEI's second sampling, on adversarial images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transfer_queue as tq
from PIL import Image
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

from verl_plugins.components.agent_loops import SeededSingleTurnAgentLoop
from verl_plugins.components.other_images import OtherImages, made_once, to_image
from verl_plugins.components.transfer_queue import PARTITION
from verl_plugins.methods.saei.second_sampling import PIXELS, SECOND_SAMPLING, SIZES


class AdversarialImages(OtherImages):
    """Mix-in for an agent loop: samples on the images that the attack stored in the TransferQueue."""

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        """Sample one response on the adversarial images, with a seed that follows those of the first sampling."""
        self.first_session = kwargs[SECOND_SAMPLING]["first_session"]
        return await super().run(sampling_params, priority=priority, **kwargs)

    async def other_images(self, fields: Mapping[str, Any]) -> list[Image.Image] | None:
        """Fetch the adversarial images; None for a prompt that was not attacked."""
        key = fields[SECOND_SAMPLING]["key"]
        return None if key is None else await made_once(key, lambda: fetch_images(key))

    def updates_on_other_images(self, fields: Mapping[str, Any]) -> bool:
        """Return what the knob ``update`` says."""
        return fields[SECOND_SAMPLING]["update"] == "adversarial"


class AdversarialSingleTurnAgentLoop(AdversarialImages):
    """``single_turn_agent`` and ``image_single_turn_agent`` on adversarial images."""


class AdversarialSeededSingleTurnAgentLoop(AdversarialImages, SeededSingleTurnAgentLoop):
    """``seeded_single_turn_agent`` on adversarial images."""


async def fetch_images(key: str) -> list[Image.Image]:
    """Read the RGB images that the attack stored in the row ``key`` of the TransferQueue."""
    data: Any = await tq.async_kv_batch_get(keys=[key], partition_id=PARTITION, select_fields=[PIXELS, SIZES])
    sizes = data[SIZES][0].reshape(-1, 2).tolist()
    parts = data[PIXELS][0].split([3 * height * width for height, width in sizes])
    return [to_image(part.view(3, *size)) for part, size in zip(parts, sizes, strict=True)]
