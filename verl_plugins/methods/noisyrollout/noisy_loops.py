"""Agent loops of NoisyRollout: a prompt's first n1 responses are sampled on its images, the others on noisy ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from PIL import Image

from verl_plugins.components.agent_loops import SeededSingleTurnAgentLoop
from verl_plugins.components.other_images import OtherImages, made_once, to_image
from verl_plugins.methods.noisyrollout.maths import noisy_pictures
from verl_plugins.methods.noisyrollout.noisy_sampling import NOISE_STRENGTH
from verl_plugins.vision.pixels import as_processed


class NoisyImages(OtherImages):
    """Mix-in for an agent loop: samples responses with a number of n1 or more on noisy images."""

    async def other_images(self, fields: Mapping[str, Any]) -> list[Image.Image] | None:
        """Return the noisy images; None for a clean response, without noise, and for a prompt of other media."""
        if fields["session_id"] < self.config.algorithm.noisyrollout.n1 or not fields[NOISE_STRENGTH]:
            return None
        return await made_once(f"noisyrollout {fields['uid']}", lambda: self._noisy_images(fields))

    async def _noisy_images(self, fields: Mapping[str, Any]) -> list[Image.Image] | None:
        clean = await self.process_multi_modal_info(list(fields["raw_prompt"]))
        if not clean.get("images") or clean.get("videos"):
            return None
        settings = dict(self.mm_processor_kwargs or {})
        key = (self.rollout_config.seed, int(fields["global_steps"]), str(fields["index"]))

        def make() -> list[Image.Image]:
            pictures = as_processed(clean["images"], self.processor, settings)
            return [to_image(picture) for picture in noisy_pictures(pictures, float(fields[NOISE_STRENGTH]), key)]

        return await asyncio.get_running_loop().run_in_executor(None, make)  # the loop goes on for other responses


class NoisySingleTurnAgentLoop(NoisyImages):
    """``single_turn_agent`` and ``image_single_turn_agent``, in part on noisy images."""


class NoisySeededSingleTurnAgentLoop(NoisyImages, SeededSingleTurnAgentLoop):
    """``seeded_single_turn_agent``, in part on noisy images."""
