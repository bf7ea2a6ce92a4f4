"""A row's prompt, made by the code that makes it in verl's training and validation, without a run of verl.

The way there: `RLHFDataset` puts images in the place of their tags, the agent loop resizes them for the processor's
patches and renders the chat by verl's token builder for the model's family.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from copy import deepcopy
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder


class RowPrompt(NamedTuple):
    """Tokens of a prompt with those of all its images, the resized images, and what the processor made of them."""

    token_ids: list[int]
    images: list[Any] | None
    image_inputs: dict[str, Any]


class _RowsInMemory(RLHFDataset):
    """verl's dataset without a file: what it makes of a row."""

    def _download(self, use_origin_parquet: bool = False) -> None:
        pass

    def _read_files_and_tokenize(self) -> None:
        pass

    def messages(self, row: Mapping[str, Any]) -> list[dict]:
        """The row's chat with its images inside; the row is left as it is."""
        return self._build_messages(deepcopy(dict(row)), key=self.prompt_key)


class PromptMaker:
    """Makes prompts of rows.

    Args:
        tokenizer, processor: of the model; None for the processor of one that sees no images.
        model_type: as in the model's `config.json`.
        data: verl's node `data`, or some of it: its keys for columns, templates and the image processor.
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
        """Of the processor, in pixels, where it has one."""
        size = getattr(getattr(self.processor, "image_processor", None), "patch_size", None)
        return size if isinstance(size, int) else None

    def make(self, row: Mapping[str, Any]) -> RowPrompt:
        """The prompt of a row.

        Raises:
            Exception: whatever verl raises on a row that it cannot use, e.g. a broken image, or tags without images.
        """
        messages = self._rows.messages(row)
        if self.processor is None:
            return RowPrompt(self._builder.build_initial_tokens(messages), None, {})
        images, _, _ = self._rows._process_multi_modal_info(messages, self.patch_size or 14, self.data)
        image_inputs: dict[str, Any] = {}
        with redirect_stdout(io.StringIO()):  # the builder prints what it was given
            token_ids = self._builder.build_initial_tokens(messages, images=images, mm_inputs_out=image_inputs)
        return RowPrompt(token_ids, images, image_inputs)


def _plain(node: Any) -> dict[str, Any]:
    container: Any = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    return container or {}
