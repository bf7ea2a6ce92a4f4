"""This package's engine around a model in this process, without workers and FSDP, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import torch
from PIL import Image
from tensordict import TensorDict
from torch import Tensor, nn
from verl.utils import tensordict_utils as tu

from verl_plugins.training.engine import EntropyEngine


class Row(NamedTuple):
    """A response to a prompt."""

    uid: str
    index: int  # of the prompt in the data set
    session: int  # number of the response
    question: str
    images: Sequence[Image.Image]
    response: Tensor  # (T,) int64


def bare_engine(model: nn.Module, processor: Any, micro_batch_size: int) -> Any:
    """An ``EntropyEngine`` in float32 on the CPU, for forwards that need no optimizer and no process group."""
    engine: Any = object.__new__(EntropyEngine)
    engine.module = model
    engine.model_config = SimpleNamespace(processor=processor, enable_gradient_checkpointing=False)
    engine.engine_config = SimpleNamespace(
        micro_batch_size_per_gpu=micro_batch_size,
        use_dynamic_bsz=False,
        max_token_len_per_gpu=None,
        entropy_checkpointing=False,
    )
    engine._autocast_dtype, engine.pad_to_length, engine.use_ulysses_sp = torch.float32, 0, False
    engine._get_packed_pad_size = lambda length: 0
    engine.pass_packed_cu_seqlens = "cu_seqlens" in signature(model.forward).parameters  # as verl finds out
    engine.get_data_parallel_group = lambda: None
    return engine


def worker_batch(rows: Sequence[Row], processor: Any, temperature: float = 1.0) -> TensorDict:
    """Rows as verl's workers get them."""
    input_ids, position_ids, masks, inputs = [], [], [], []
    for row in rows:
        content = [{"type": "image"}] * len(row.images) + [{"type": "text", "text": row.question}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        made = processor(text=[text], images=row.images or None, return_tensors="pt")
        input_ids.append(torch.cat([made["input_ids"][0], row.response]))
        position_ids.append(torch.arange(len(input_ids[-1])).expand(4, -1))
        masks.append(torch.ones_like(row.response))
        inputs.append({name: made[name] for name in ("pixel_values", "image_grid_thw") if name in made})
    tensors = {
        "input_ids": torch.nested.as_nested_tensor(input_ids, layout=torch.jagged),
        "position_ids": tu.nested_tensor_from_tensor_list(position_ids, ragged_idx=2),
        "response_mask": torch.nested.as_nested_tensor(masks, layout=torch.jagged),
    }
    data = TensorDict(tensors, batch_size=[len(rows)])
    fields = {"multi_modal_inputs": inputs, "uid": [row.uid for row in rows]}
    fields |= {"index": [row.index for row in rows], "session_id": [row.session for row in rows]}
    for name, values in fields.items():
        tu.assign_non_tensor_stack(data, name, values)
    tu.assign_non_tensor(data, temperature=temperature, use_remove_padding=False)
    return data


def sampled_rows(
    model: Any, processor: Any, parquet: Path, prompts: int, responses: int, max_new_tokens: int = 32, seed: int = 0
) -> list[Row]:
    """Responses that the model samples at temperature 1 to the first prompts of a parquet file, one image each."""
    rows = []
    for index, row in enumerate(pq.read_table(parquet).slice(0, prompts).to_pylist()):
        question = row["prompt"][0]["content"].replace("<image>", "")
        image = Image.open(BytesIO(row["images"][0]["bytes"])).convert("RGB")
        content = [{"type": "image"}, {"type": "text", "text": question}]
        text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[text], images=[image], return_tensors="pt")
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed + index)
            result = model.generate(
                **inputs, do_sample=True, top_k=0, num_return_sequences=responses, max_new_tokens=max_new_tokens
            )
        for session, ids in enumerate(result[:, inputs["input_ids"].shape[1] :]):
            end = (ids == processor.tokenizer.eos_token_id).nonzero()
            ids = ids[: int(end[0]) + 1] if len(end) else ids
            rows.append(Row(f"prompt{index}", index, session, question, [image], ids))
    return rows
