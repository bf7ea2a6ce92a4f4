"""A look at some rows of a run's data as its rollout will see them: how long the prompts are, and what cannot be read.

verl drops rows that are too long, and rows that raise, without a word (``data.filter_overlong_prompts``); without that
filter the first such row ends the run.
"""

from __future__ import annotations

import io
import re
from collections import Counter
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from omegaconf import DictConfig, OmegaConf

from data_prep.reading import sampled_rows

SAMPLED = 64  # rows of a file


@dataclass
class Rows:
    """What was found in the sampled rows of a file.

    Args:
        sampled, of: rows looked at, and rows in the file.
        prompts: tokens of each prompt, images included.
        images: tokens of each row's images.
        problems: message to the first row that has it, and how many have.
    """

    sampled: int
    of: int
    prompts: list[int] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    problems: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, problem: str, row: int) -> None:
        first, count = self.problems.get(problem, (row, 0))
        self.problems[problem] = first, count + 1

    def __str__(self) -> str:
        span = f"prompts of {min(self.prompts)} to {max(self.prompts)} tokens" if self.prompts else "no readable prompt"
        pictures = f", images of {min(self.images)} to {max(self.images)}" if self.images else ""
        return f"{self.sampled} of {self.of:,} rows: {span}{pictures}"


class Reader:
    """Makes prompts as verl's dataset and agent loop make them.

    Raises:
        OSError, ValueError: the model's tokenizer or processor cannot be loaded.
    """

    def __init__(self, config: DictConfig):
        from verl.utils.config import omega_conf_to_dataclass
        from verl.utils.dataset.rl_dataset import RLHFDataset
        from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder

        model: Any = omega_conf_to_dataclass(config.actor_rollout_ref.model)
        self.data, self.processor = config.data, model.processor
        self.builder = create_continuous_token_builder(
            model.tokenizer,
            hf_model_type=model.hf_config.model_type,
            chat_template_kwargs=_plain(config.data.get("apply_chat_template_kwargs")),
            mm_processor_kwargs=_plain(config.data.get("mm_processor_kwargs")),
            processor=model.processor,
        )
        self.dataset: Any = object.__new__(RLHFDataset)  # its method alone: the rows are read here, without their cache
        self.dataset.processor = model.processor
        for key, default in (("image_key", "images"), ("video_key", "videos"), ("audio_key", "audios")):
            setattr(self.dataset, key, config.data.get(key, default))

    @property
    def patch_size(self) -> int | None:
        """Of the processor, where it has one."""
        size = getattr(getattr(self.processor, "image_processor", None), "patch_size", None)
        return size if isinstance(size, int) else None

    def read(self, path: Path) -> Rows:
        """Sample a parquet file."""
        file = pq.ParquetFile(path)
        rows = Rows(0, file.metadata.num_rows)
        for number, row in sampled_rows(file, SAMPLED):
            rows.sampled += 1
            try:
                tokens, image_tokens, features = self.prompt(row)
            except Exception as error:  # verl would drop the row, or end the run; here it is counted
                message = re.sub(
                    r" at 0x[0-9a-f]+", "", f"{type(error).__name__}: {error}"
                )  # the same for all such rows
                rows.add(" ".join(message.split())[:200], number)
                continue
            rows.prompts.append(tokens)
            if image_tokens:
                rows.images.append(image_tokens)
            if tokens > self.data.max_prompt_length:
                rows.add(f"longer than data.max_prompt_length={self.data.max_prompt_length}", number)
            if image_tokens != features:
                rows.add("image tokens and image features differ (an image token in the text?)", number)
        return rows

    def prompt(self, row: dict[str, Any]) -> tuple[int, int, int]:
        """Tokens of a row's prompt, image tokens among them, and features of its images."""
        messages = self.dataset._build_messages(row, key=self.data.get("prompt_key", "prompt"))
        patch = self.patch_size or 14
        images, _, _ = self.dataset._process_multi_modal_info(messages, image_patch_size=patch, config=self.data)
        made: dict[str, Any] = {}
        with redirect_stdout(io.StringIO()):
            ids = self.builder.build_initial_tokens(messages, images=images, mm_inputs_out=made)
        if not images:
            return len(ids), 0, 0
        return len(ids), Counter(ids)[self.processor.image_token_id], self.features(made)

    def features(self, made: dict[str, Any]) -> int:
        """How many features the model makes of the processor's images."""
        if "image_grid_thw" in made:
            return int(made["image_grid_thw"].prod(dim=1).sum()) // self.processor.image_processor.merge_size**2
        return len(made["pixel_values"]) * self.processor.image_seq_length


def _plain(node: Any) -> dict[str, Any]:
    container: Any = OmegaConf.to_container(node) if OmegaConf.is_config(node) else node
    return container or {}
