"""A row's prompt, built by the code that builds it in verl's validation, so that the model sees the same tokens.

The way there: `RLHFDataset` puts images in the place of their tags, the agent loop resizes them for the processor's
patches and renders the chat by verl's token builder for the model's family, the vLLM server folds image tokens again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder
from verl.workers.rollout.utils import get_vision_placeholder_token_ids, qwen2_5_vl_dedup_image_tokens

from data_prep.schema import Row
from verl_plugins import internvl
from verl_plugins.evaluate.model_folder import model_config


class Prompt(NamedTuple):
    """What vLLM is given: token ids with one token an image, the images, and how long it is with all of theirs."""

    token_ids: list[int]
    images: list[Any] | None
    length: int


class _RowsInMemory(RLHFDataset):
    """verl's dataset without a file: what it makes of a row, by its own defaults."""

    def _download(self, use_origin_parquet: bool = False) -> None:
        pass

    def _read_files_and_tokenize(self) -> None:
        pass

    def messages(self, row: Row) -> list[dict]:
        """The row's chat with its images inside; the row is left as it is."""
        return self._build_messages(deepcopy(row), key=self.prompt_key)


class PromptBuilder:
    """Makes prompts of rows for the model in a folder; `processor_settings` as in `Settings.processor`."""

    def __init__(self, folder: Path, processor_settings: Mapping[str, Any]):
        self.folder = folder
        self.tokenizer = hf_tokenizer(str(folder))
        model_type = model_config(folder).get("model_type")
        self._is_internvl = model_type == internvl.MODEL_TYPE
        self.processor: Any = (
            internvl.InternVLProcessor.from_pretrained(folder) if self._is_internvl else hf_processor(str(folder))
        )
        if self.processor is not None and not getattr(self.processor, "chat_template", None):
            self.processor.chat_template = self.tokenizer.chat_template  # as verl's HFModelConfig does
        self.data_config = OmegaConf.create({"filter_overlong_prompts": False})
        self._rows = _RowsInMemory([], self.tokenizer, self.data_config, self.processor)
        self._builder = create_continuous_token_builder(
            self.tokenizer,
            hf_model_type=model_type,
            processor=self.processor,
            mm_processor_kwargs=dict(processor_settings),
        )

    def banned_tokens(self) -> list[int]:
        """Tokens that are never sampled in training: placeholders of images and videos."""
        if self._is_internvl:
            return [self.processor.image_token_id]
        return get_vision_placeholder_token_ids(self.processor) if self.processor is not None else []

    def build(self, row: Row) -> Prompt:
        """The prompt of a row.

        Raises:
            SystemExit: the row has images and the model no processor.
            Exception: whatever verl raises on a row that it cannot use, e.g. a broken image, or tags without images.
        """
        if self.processor is None:
            if row["images"]:
                raise SystemExit(
                    f"--model {self.folder}: got a model without a processor that verl knows, and a row with an image, "
                    "expected a vision-language model with its processor saved beside the weights"
                )
            token_ids = self._builder.build_initial_tokens(self._rows.messages(row))
            return Prompt(token_ids, None, len(token_ids))
        messages = self._rows.messages(row)
        patch_size = getattr(getattr(self.processor, "image_processor", None), "patch_size", 14)
        images, _, _ = asyncio.run(RLHFDataset.process_multi_modal_info(messages, patch_size, self.data_config))
        whole = self._builder.build_initial_tokens(messages, images=images)
        fold = internvl.collapse_images if self._is_internvl else qwen2_5_vl_dedup_image_tokens
        return Prompt(fold(whole, self.processor), images, len(whole))
