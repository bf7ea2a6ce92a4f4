"""A sample of a run's data, read as the rollout will read it: lengths of the prompts, and rows that cannot be used.

With ``data.filter_overlong_prompts``, verl silently drops rows that are too long or raise an error; without it, the
first such row ends the run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
from omegaconf import DictConfig

from data_prep.look.reading import sampled_rows
from verl_plugins.components.prompts import PromptMaker, RowPrompt
from verl_plugins.doctor.doctor_check import FAIL

SAMPLED = 64
"""Rows sampled from each file."""


class Finding(NamedTuple):
    """What is wrong with a row.

    Args:
        text: the same for all rows that have it.
        particular: what is particular to this row; "" if nothing is.
        fix: what to do.
        level: as of a ``DoctorCheck``.
    """

    text: str
    particular: str = ""
    fix: str = "leave them out, or change what is named"
    level: str = FAIL


RowCheck = Callable[[Mapping[str, Any], RowPrompt], "Finding | None"]


@dataclass
class Rows:
    """Summary of the sampled rows of a file.

    Args:
        sampled, of: number of sampled rows, and of rows in the file.
        prompts: number of tokens of each prompt, images included.
        images: number of image tokens of each row.
        problems: message to (first row with the problem, number of such rows).
        findings: message to what was found in that first row.
    """

    sampled: int
    of: int
    prompts: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    problems: dict[str, tuple[int, int]] = field(default_factory=dict)
    findings: dict[str, Finding] = field(default_factory=dict)

    def add(self, finding: Finding, row: int) -> None:
        first, count = self.problems.get(finding.text, (row, 0))
        self.problems[finding.text] = first, count + 1
        self.findings.setdefault(finding.text, finding)

    def __str__(self) -> str:
        span = f"prompts of {min(self.prompts)} to {max(self.prompts)} tokens" if self.prompts else "no readable prompt"
        pictures = f", images of {min(self.images)} to {max(self.images)}" if self.images else ""
        return f"{self.sampled} of {self.of:,} rows: {span}{pictures}"


class Reader:
    """Builds prompts as verl's dataset and agent loop build them.

    Raises:
        OSError, ValueError: the model's tokenizer or processor cannot be loaded.
    """

    def __init__(self, config: DictConfig):
        from verl.utils.config import omega_conf_to_dataclass

        model: Any = omega_conf_to_dataclass(config.actor_rollout_ref.model)
        self.data, self.processor, self.model_type = config.data, model.processor, model.hf_config.model_type
        self.maker = PromptMaker(model.tokenizer, model.processor, self.model_type, config.data)

    @property
    def patch_size(self) -> int | None:
        """Patch size of the processor in pixels; None if it has none."""
        return self.maker.patch_size

    def read(self, path: Path, checks: Sequence[RowCheck] = ()) -> Rows:
        """Sample a parquet file, and put each row that can be read to further checks."""
        file = pq.ParquetFile(path)
        rows = Rows(0, file.metadata.num_rows)
        for number, row in sampled_rows(file, SAMPLED):
            rows.sampled += 1
            try:
                prompt = self.maker.make(row)
                tokens, image_tokens, features = self.counts(prompt)
            except Exception as error:  # verl would drop the row or end the run; here it is counted
                message = re.sub(
                    r" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}"
                )  # the same for all such rows
                rows.add(Finding(" ".join(message.split())[:200]), number)
                continue
            rows.prompts.append(tokens)
            if image_tokens:
                rows.images.append(image_tokens)
            if tokens > self.data.max_prompt_length:
                rows.add(Finding(f"longer than data.max_prompt_length={self.data.max_prompt_length}"), number)
            if image_tokens != features:
                rows.add(Finding("image tokens and image features differ (an image token in the text?)"), number)
            for check in checks:
                if finding := check(row, prompt):
                    rows.add(finding, number)
        return rows

    def counts(self, prompt: RowPrompt) -> tuple[int, int, int]:
        """Count the tokens of a prompt, the image tokens among them, and the features of its images."""
        if not prompt.images:
            return len(prompt.token_ids), 0, 0
        image_tokens = Counter(prompt.token_ids)[self.processor.image_token_id]
        return len(prompt.token_ids), image_tokens, self.features(prompt.image_inputs)

    def features(self, image_inputs: dict[str, Any]) -> int:
        """Count the features that the model computes from the processor's output."""
        if "image_grid_thw" in image_inputs:
            patches = int(image_inputs["image_grid_thw"].prod(dim=1).sum())
            return patches // self.processor.image_processor.merge_size**2
        return len(image_inputs["pixel_values"]) * self.processor.image_seq_length
