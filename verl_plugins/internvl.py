"""InternVL3 (-hf) through verl 0.9.1's rollout and training, by verl's own extension points alone.

verl knows the processors of Qwen-VL, GLM-4V, Gemma4 and Mllama, and treats a model with any other processor as a text
model. This module adds what verl needs for InternVL: a model config that loads the processor
(``actor_rollout_ref.model._target_``), and a client of the rollout server that does for InternVL what the server does
for Qwen (used by ``components/agent_loops.py``). docs/upstream/internvl.md lists the lines of verl that each part
replaces; the module can be removed when verl has them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import transformers
from verl.workers.config import HFModelConfig

MODEL_TYPE = "internvl"


class InternVLProcessor(transformers.InternVLProcessor):
    """Transformers' processor, which also accepts a text that has lost its image tokens.

    To compute ``pixel_values`` of a finished response, verl decodes it without special tokens and calls the processor
    with that text. Qwen's processor accepts it; InternVL's counts the placeholders. The class keeps Transformers' name,
    so that a checkpoint is saved under it and loads without this package.
    """

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kwargs):
        if images is not None and text is not None:
            (text,) = [text] if isinstance(text, str) else text
            if self.image_token not in text:
                text = self.image_token * len(images) + text
            text = [text]
        return super().__call__(images=images, text=text, videos=videos, **kwargs)


@dataclass
class InternVLModelConfig(HFModelConfig):
    """verl's model config with InternVL's processor, which verl does not load."""

    def __post_init__(self):
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore", message="Failed to create processor: Unsupported processor type: InternVL"
            )
            super().__post_init__()
        if self.hf_config.model_type != MODEL_TYPE:
            raise ValueError(
                f"actor_rollout_ref.model.path: got a {self.hf_config.model_type} model, expected {MODEL_TYPE}; "
                "set actor_rollout_ref.model._target_=verl.workers.config.HFModelConfig"
            )
        if self.local_tokenizer_path:
            processor: Any = InternVLProcessor.from_pretrained(self.local_tokenizer_path)
            template = self.custom_chat_template or processor.chat_template or self.tokenizer.chat_template
            processor.chat_template = template
            processor.config = self.hf_config
            self.processor = processor


class InternVLClient:
    """Client of verl's rollout servers for prompts with InternVL's images.

    vLLM expands one image token to all tokens of the image itself. verl's server collapses the tokens for Qwen, and
    bans the image token from sampling for the processors that it knows. A response with an image token would end the
    run, because the update would find more image tokens than image features.
    """

    def __init__(self, client: Any, processor: Any):
        self.client, self.processor = client, processor

    async def generate(self, *, prompt_ids: Sequence[int], sampling_params: dict[str, Any], **kwargs) -> Any:
        banned = {self.processor.image_token_id: -100.0}  # the minimum that vLLM accepts
        sampling_params = {**sampling_params, "logit_bias": banned}
        collapsed = collapse_images(prompt_ids, self.processor)
        return await self.client.generate(prompt_ids=collapsed, sampling_params=sampling_params, **kwargs)


def collapse_images(prompt_ids: Sequence[int], processor: Any) -> list[int]:
    """Replace the start, tokens and end of each image in a prompt by one image token."""
    image, start, end = processor.image_token_id, processor.start_image_token_id, processor.end_image_token_id
    collapsed: list[int] = []
    for token in prompt_ids:
        if token == image and collapsed and collapsed[-1] == image:
            continue
        if token == image and collapsed and collapsed[-1] == start:
            collapsed[-1] = image
        elif not (token == end and collapsed and collapsed[-1] == image):
            collapsed.append(token)
    return collapsed
