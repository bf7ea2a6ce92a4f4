"""Settings of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROCESSOR_COUNTS = ("min_pixels", "max_pixels", "min_patches", "max_patches")
"""Settings of an image processor that are whole numbers."""


@dataclass(frozen=True)
class Settings:
    """Everything besides the model and the data that the numbers of an evaluation depend on.

    Args:
        sample: number of rows to draw from each file; None for all.
        limit: maximum number of rows of each file; None for all.
        seed: seed of the sample, and of the responses if the temperature is above 0.
        temperature: sampling temperature; 0 takes the likeliest token, as verl's validation does.
        max_prompt_length: in tokens; a longer prompt is not asked, and counts as wrong.
        max_response_length: in tokens.
        batch_size: number of rows that are asked, scored and written at a time.
        dtype: data type of the model in vLLM.
        reward: `reward_kwargs` of `reward_fns.auto`.
        processor: keyword arguments of the image processor, verl's `data.mm_processor_kwargs`.
        chat_template: variables of the chat template, verl's `data.apply_chat_template_kwargs`.

    Raises:
        SystemExit: a value is out of range or of another type, or only one of min_pixels and max_pixels is given.
    """

    sample: int | None = None
    limit: int | None = None
    seed: int = 42
    temperature: float = 0.0
    max_prompt_length: int = 8192
    max_response_length: int = 2048
    batch_size: int = 256
    dtype: str = "bfloat16"
    reward: Mapping[str, Any] = field(default_factory=dict)
    processor: Mapping[str, Any] = field(default_factory=dict)
    chat_template: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("sample", "limit", "max_prompt_length", "max_response_length", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SystemExit(f"--{name.replace('_', '-')}: got {value}, expected at least 1")
        limits = {"min_pixels", "max_pixels"} & set(self.processor)
        if len(limits) == 1:
            raise SystemExit(
                f"--processor: got {limits.pop()} alone, expected min_pixels and max_pixels (vLLM counts with one of "
                "them, Transformers resizes with both or neither)"
            )
        self._check_processor()
        if not 0 <= self.temperature < float("inf"):
            raise SystemExit(f"--temperature: got {self.temperature}, expected 0 or more")

    def _check_processor(self) -> None:
        """Check the settings of the processor that are known, before the model is loaded with them."""
        for name in set(PROCESSOR_COUNTS) & set(self.processor):
            value = self.processor[name]
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise SystemExit(f"--processor {name}: got {value!r}, expected a whole number, at least 1")
        if self.processor.get("min_pixels", 0) > self.processor.get("max_pixels", 0):
            got, most = self.processor["min_pixels"], self.processor["max_pixels"]
            raise SystemExit(f"--processor min_pixels: got {got}, expected at most max_pixels, which is {most}")
        crop = self.processor.get("crop_to_patches", False)
        if not isinstance(crop, bool):
            raise SystemExit(f"--processor crop_to_patches: got {crop!r}, expected true or false")
