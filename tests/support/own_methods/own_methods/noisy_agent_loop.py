"""Agent loop of noisy rollout. A file of its own, because it imports verl."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from verl_plugins.components.agent_loops import SeededSingleTurnAgentLoop
from verl_plugins.seeds import seed_of


class NoisySingleTurnAgentLoop(SeededSingleTurnAgentLoop):
    """Samples responses with an odd number on noisy images."""

    rng: np.random.Generator | None = None
    pixel_noise = 0.0

    async def run(self, sampling_params: dict[str, Any], priority: int = 0, **kwargs) -> Any:
        """Sample one response; the actor is given the clean images."""
        if kwargs["session_id"] % 2:
            key = (self.rollout_config.seed, kwargs["global_steps"], kwargs["index"], "noise", kwargs["session_id"])
            self.rng, self.pixel_noise = np.random.default_rng(seed_of(*key)), kwargs["pixel_noise"]
        output = await super().run(sampling_params, priority=priority, **kwargs)  # pyright: ignore[reportAbstractUsage]
        output.multi_modal_data = await super().process_multi_modal_info(list(kwargs["raw_prompt"]))
        return output

    async def process_multi_modal_info(self, messages: list[dict]) -> dict:
        """Add noise to the images that verl has read and resized."""
        data = await super().process_multi_modal_info(messages)
        if self.rng is None or not data.get("images"):
            return data
        return {**data, "images": [self._noisy(image) for image in data["images"]]}

    def _noisy(self, image: Image.Image) -> Image.Image:
        assert self.rng is not None
        pixels = np.asarray(image.convert("RGB"), dtype=np.float32)
        pixels = pixels + self.pixel_noise * self.rng.standard_normal(pixels.shape)
        return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))
