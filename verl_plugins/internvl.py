"""InternVL3 (-hf) through verl 0.9.1's rollout and training, by verl's own extension points alone.

verl knows the processors of Qwen-VL, GLM-4V, Gemma4 and Mllama, and treats a model with any other as text. What it
needs of InternVL's is here: a model config that loads the processor (``actor_rollout_ref.model._target_``), a client
of the rollout server that does for InternVL what the server does for Qwen (the agent loops in ``rollout.py`` use it).
docs/upstream/internvl.md tells which lines of verl each part stands for; it can go when they are there.
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
    """Transformers' processor, which also takes a text that has lost its image tokens.

    To make ``pixel_values`` of a finished response, verl decodes it without special tokens and calls the processor with
    that text; Qwen's does not mind, InternVL's counts the placeholders. The name is Transformers', so that a checkpoint
    is saved under it and loads without this package.
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
    """verl's model config, with the processor that verl would not load."""

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
    """The client of verl's rollout servers, for prompts with InternVL's images.

    vLLM writes an image's tokens itself, in place of one: verl's server collapses them for Qwen, and bans the image
    token in sampling for processors that it knows. A response with an image token in it would end the run, because the
    update finds more tokens than image features.
    """

    def __init__(self, client: Any, processor: Any):
        self.client, self.processor = client, processor

    async def generate(self, *, prompt_ids: Sequence[int], sampling_params: dict[str, Any], **kwargs) -> Any:
        banned = {self.processor.image_token_id: -100.0}  # the least that vLLM takes
        sampling_params = {**sampling_params, "logit_bias": banned}
        collapsed = collapse_images(prompt_ids, self.processor)
        return await self.client.generate(prompt_ids=collapsed, sampling_params=sampling_params, **kwargs)


def collapse_images(prompt_ids: Sequence[int], processor: Any) -> list[int]:
    """The prompt with one image token where each image had its start, its tokens and its end."""
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
