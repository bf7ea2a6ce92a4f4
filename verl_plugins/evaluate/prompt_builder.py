"""Prompts as verl sends them to its vLLM server, so that the model sees the same tokens as in training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from torch import Tensor
from verl.utils import hf_processor, hf_tokenizer
from verl.workers.rollout.utils import get_vision_placeholder_token_ids, qwen2_5_vl_dedup_image_tokens

from data_prep.types import Row
from verl_plugins import internvl
from verl_plugins.components.prompts import PromptMaker, RowPrompt
from verl_plugins.evaluate.model_folder import model_config
from verl_plugins.vision.pixels import check_invertible, to_pixels


class Prompt(NamedTuple):
    """Input of vLLM for one row.

    token_ids: ids with one token per image.
    images: images of the row, or None.
    length: number of tokens with all tokens of the images.
    processed: the same prompt with all tokens of the images, and the processor's output for the images.
    """

    token_ids: list[int]
    images: list[Any] | None
    length: int
    processed: RowPrompt


class PromptBuilder:
    """Builder of prompts for the model in a folder; for the settings see `Settings.processor` and `.chat_template`."""

    def __init__(
        self,
        folder: Path,
        processor_settings: Mapping[str, Any],
        chat_template_settings: Mapping[str, Any] | None = None,
    ):
        self.folder, self._settings = folder, dict(processor_settings)
        self.tokenizer = hf_tokenizer(str(folder))
        model_type = model_config(folder).get("model_type")
        self._is_internvl = model_type == internvl.MODEL_TYPE
        self.processor: Any = (
            internvl.InternVLProcessor.from_pretrained(folder) if self._is_internvl else hf_processor(str(folder))
        )
        if self.processor is not None and not getattr(self.processor, "chat_template", None):
            self.processor.chat_template = self.tokenizer.chat_template  # as verl's HFModelConfig does
        data = OmegaConf.create(
            {"mm_processor_kwargs": self._settings, "apply_chat_template_kwargs": dict(chat_template_settings or {})}
        )
        self._maker = PromptMaker(self.tokenizer, self.processor, model_type, data)

    def banned_tokens(self) -> list[int]:
        """Return the tokens that are never sampled in training: placeholders of images and videos."""
        if self._is_internvl:
            return [self.processor.image_token_id]
        return get_vision_placeholder_token_ids(self.processor) if self.processor is not None else []

    def build(self, row: Row) -> Prompt:
        """Build the prompt of a row.

        Raises:
            SystemExit: the row has images and the model has no processor.
            Exception: any error of verl on a row that it cannot use, such as a broken image or tags without images.
        """
        if self.processor is None and row["images"]:
            raise SystemExit(
                f"--model {self.folder}: got a model without a processor that verl knows, and a row with an image, "
                "expected a vision-language model with its processor saved beside the weights"
            )
        prompt = self._maker.make(row)
        if self.processor is None:
            return Prompt(prompt.token_ids, None, len(prompt.token_ids), prompt)
        fold = internvl.collapse_images if self._is_internvl else qwen2_5_vl_dedup_image_tokens
        return Prompt(fold(prompt.token_ids, self.processor), prompt.images, len(prompt.token_ids), prompt)

    def check_attack(self) -> None:
        """Check that the processor's pixels can be converted back to images, as an attack on them needs.

        Raises:
            SystemExit: they cannot, or the model has no processor.
        """
        if self.processor is None:
            raise SystemExit(
                f"--attack: got the model {self.folder} without a processor, expected one that sees images"
            )
        try:
            check_invertible(self.processor, self._settings)
        except ValueError as problem:
            raise SystemExit(f"--attack: {problem} (here: --processor NAME=VALUE)") from None

    def pixels(self, prompt: Prompt) -> list[Tensor]:
        """Return the images of a prompt in the size to which the processor resizes them, each (3, H, W) uint8.

        vLLM's processor does not resize them again, so whatever is added to them reaches the model whole.

        Raises:
            ValueError: the pixels come from no 8-bit image.
        """
        inputs = prompt.processed.image_inputs
        return to_pixels(inputs["pixel_values"], inputs.get("image_grid_thw"), self.processor)
