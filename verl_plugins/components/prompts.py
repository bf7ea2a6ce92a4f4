"""Prompts as verl's training and validation make them, without running verl.

`RLHFDataset` replaces the image tags by the images; the agent loop resizes them to the processor's patches and renders
the chat with verl's token builder for the model's family.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from PIL import Image
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder


class RowPrompt(NamedTuple):
    """Token ids of a prompt including its images' tokens, the resized images, and the processor's output for them."""

    token_ids: list[int]
    images: list[Any] | None
    image_inputs: dict[str, Any]


class _RowsInMemory(RLHFDataset):
    """verl's dataset without a file, to build the messages of single rows."""

    def _download(self, use_origin_parquet: bool = False) -> None:
        pass

    def _read_files_and_tokenize(self) -> None:
        pass

    def messages(self, row: Mapping[str, Any]) -> list[dict]:
        """Build the row's chat messages with the images in them; the row is not modified."""
        row = deepcopy(dict(row))
        row[self.image_key] = [_opened(image) for image in row.get(self.image_key) or []]
        return self._build_messages(row, key=self.prompt_key)


class PromptMaker:
    """Builds the prompts of data set rows.

    Args:
        tokenizer: the model's tokenizer.
        processor: the model's processor; None for a model without images.
        model_type: as in the model's `config.json`.
        data: verl's node `data`: keys for columns, chat template and image processor.
    """

    def __init__(self, tokenizer: Any, processor: Any, model_type: str | None, data: DictConfig):
        self.data, self.processor = data, processor
        self._rows = _RowsInMemory([], tokenizer, data, processor)
        self._builder = create_continuous_token_builder(
            tokenizer,
            hf_model_type=model_type,
            chat_template_kwargs=_plain(data.get("apply_chat_template_kwargs")),
            mm_processor_kwargs=_plain(data.get("mm_processor_kwargs")),
            processor=processor,
        )

    @property
    def patch_size(self) -> int | None:
        """Patch size of the processor in pixels; None if it has none."""
        size = getattr(getattr(self.processor, "image_processor", None), "patch_size", None)
        return size if isinstance(size, int) else None

    def make(self, row: Mapping[str, Any]) -> RowPrompt:
        """Build the prompt of a row.

        Raises:
            Exception: any exception of verl for a row that it cannot use, e.g. a broken image, or tags without images.
        """
        messages = self._rows.messages(row)
        if self.processor is None:
            return RowPrompt(self._builder.build_initial_tokens(messages), None, {})
        images, _, _ = self._rows._process_multi_modal_info(messages, self.patch_size or 14, self.data)
        image_inputs: dict[str, Any] = {}
        with redirect_stdout(io.StringIO()):  # the builder prints its input
            token_ids = self._builder.build_initial_tokens(messages, images=images, mm_inputs_out=image_inputs)
        return RowPrompt(token_ids, images, image_inputs)


def _opened(image: Any) -> Any:
    """Return an image without bytes as its opened file, as the library `datasets` reads it for verl."""
    if isinstance(image, Mapping) and image.get("bytes") is None and image.get("path"):
        return Image.open(image["path"])
    return image


def _plain(node: Any) -> dict[str, Any]:
    container: Any = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    return container or {}
