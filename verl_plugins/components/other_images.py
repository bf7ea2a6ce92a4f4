"""Sampling on other images than the prompt's: what the agent loops of the methods that do so share."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from weakref import WeakValueDictionary

from PIL import Image
from torch import Tensor
from verl.experimental.agent_loop.agent_loop import AgentLoopOutput

from verl_plugins.components.agent_loops import ImageSingleTurnAgentLoop

_WAITING: WeakValueDictionary[str, asyncio.Future] = WeakValueDictionary()
"""Images that a response still waits for, by key."""


class OtherImages(ImageSingleTurnAgentLoop):
    """Mix-in for an agent loop: samples a response on the images that ``other_images`` returns.

    The update gets the prompt's own images, unless ``updates_on_other_images``.
    """

    images: list[Image.Image] | None = None

    @abstractmethod
    async def other_images(self, fields: Mapping[str, Any]) -> list[Image.Image] | None:
        """Return the images to sample on, of the sizes that the model's processor makes; None for the prompt's own.

        Args:
            fields: of the prompt, with the number of the response as ``session_id``.
        """

    def updates_on_other_images(self, fields: Mapping[str, Any]) -> bool:
        """Tell whether the update is given the images of the sampling, too."""
        return False

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> AgentLoopOutput:
        """Sample one response, and return it with the images for the update."""
        self.images = await self.other_images(kwargs)
        output = await super().run(sampling_params, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]
        if self.images is not None and not self.updates_on_other_images(kwargs):
            output.multi_modal_data = await super().process_multi_modal_info(list(kwargs["raw_prompt"]))
        return output

    async def process_multi_modal_info(self, messages: list[dict]) -> dict:
        """Return the other images without verl's resizing, or the prompt's own."""
        if self.images is None:
            return await super().process_multi_modal_info(messages)
        return {"images": self.images}


async def made_once(key: str, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Return what ``make`` returns; the responses to a prompt start together, so one call serves all with that key."""
    waiting = _WAITING.get(key)
    if waiting is None:
        waiting = _WAITING[key] = asyncio.ensure_future(make())
    return await waiting


def to_image(picture: Tensor) -> Image.Image:
    """Convert a picture (3, H, W) uint8 to the form in which agent loops pass images."""
    return Image.fromarray(picture.permute(1, 2, 0).numpy())
