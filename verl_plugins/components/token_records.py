"""Records of a selection of tokens, token by token, for the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transfer_queue as tq
from torch import Tensor
from transfer_queue import KVBatchMeta

from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.components.records import PICTURES, Recorder, picture
from verl_plugins.components.transfer_queue import PARTITION
from verl_plugins.vision.layout import PixelLayout
from verl_plugins.vision.perturb import perturb

ROWS = 64
"""Number of a step's responses that are written."""


def record_tokens(
    recorder: Recorder,
    kind: str,
    trainer: Any,
    batch: KVBatchMeta,
    signals: Mapping[str, Tensor],
    rewards: Tensor,
    groups: Tensor,
    images: tuple[PixelLayout, Counterfactual] | None,
) -> None:
    """Write ``<kind>/<step>.jsonl``: the first ``ROWS`` responses of a step, a record each.

    Args:
        recorder: writes the file.
        kind: folder of the records.
        trainer: verl's trainer, at the step.
        batch: keys of the step's rows.
        signals, rewards, groups: of all rows, as for ``token_records``.
        images: layout of the images and the perturbation of the step, of which ``PICTURES`` records show an example;
            None if the method perturbs none.
    """
    fields = ["prompts", "responses", "multi_modal_inputs", "index"]
    data: Any = tq.kv_batch_get(batch.keys[:ROWS], PARTITION, select_fields=fields)
    responses, prompts = (list(data[name].unbind()) for name in ("responses", "prompts"))
    records = token_records(trainer.tokenizer, responses, prompts, signals, rewards, groups)
    if images is not None:
        _add_pictures(records, data, *images)
    recorder.write(kind, trainer.global_steps, records)


def token_records(
    tokenizer: Any,
    responses: list[Tensor],
    prompts: list[Tensor],
    signals: Mapping[str, Tensor],
    rewards: Tensor,
    groups: Tensor,
) -> list[dict]:
    """Build one record per response.

    Args:
        tokenizer: decodes single tokens.
        responses, prompts: token ids of each row, without padding.
        signals: named (B, T) tensors; "score" ranks the tokens, "kept" is the weight of a kept token's advantage,
            else 0.
        rewards, groups: (B,).
    """
    records = []
    for row, response in enumerate(responses):
        length = len(response)
        numbers = {name: [round(x, 5) for x in values[row, :length].tolist()] for name, values in signals.items()}
        records.append(
            {
                "group": int(groups[row]),
                "prompt": tokenizer.decode(prompts[row], skip_special_tokens=True),
                "reward": round(float(rewards[row]), 5),
                "tokens": [tokenizer.decode([token]) for token in response.tolist()],
                **numbers,
            }
        )
    return records


def _add_pictures(records: list[dict], data: Any, layout: PixelLayout, counterfactual: Counterfactual) -> None:
    """Add the clean and the perturbed image to the first ``PICTURES`` records that have an image."""
    number = 0
    for record, inputs, index in zip(records, data["multi_modal_inputs"], data["index"], strict=True):
        if number == PICTURES:
            break
        if inputs and inputs.get("pixel_values") is not None:
            inputs = {name: torch.as_tensor(value) for name, value in inputs.items()}
            key = (counterfactual.seed, counterfactual.step, str(index))
            perturbed = perturb(inputs, layout, counterfactual.kind, counterfactual.strength, key)
            record["picture"] = picture(inputs, layout)
            record["perturbed_picture"] = picture(perturbed, layout)
            number += 1
