"""How good a starting model is, and how its answers to one question differ."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from data_prep.types import Row
from verl_plugins.demo.making.warmup import images_of, render
from verl_plugins.demo.tasks import Task

GATE = 0.1  # the paper's delta of ECVGPO, in units of reward
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True)
class Quality:
    """Numbers about the answers to evaluation rows; a group is the sampled answers to one row.

    Args:
        rows, samples: rows, and sampled answers of each, at temperature 1.
        greedy, sampled: mean quality of greedy and of sampled answers: IoU or accuracy.
        sampled_quantiles: quality of sampled answers at QUANTILES.
        group_mean_quantiles: mean quality of a group, at QUANTILES.
        sampled_format: mean format score of sampled answers.
        sampled_reward: mean reward of sampled answers.
        entropy: entropy per sampled token, in nats.
        response_length: mean tokens of a sampled answer.
        group_std_quantiles: standard deviation of the rewards within a group, at QUANTILES.
        gated: share of groups whose standard deviation is above 0 and below GATE.
        rarely_right: share of groups in which at most an eighth of the answers has a quality above 0.5.
    """

    rows: int
    samples: int
    greedy: float
    sampled: float
    sampled_quantiles: list[float]
    group_mean_quantiles: list[float]
    sampled_format: float
    sampled_reward: float
    entropy: float
    response_length: float
    group_std_quantiles: list[float]
    gated: float
    rarely_right: float


@torch.no_grad()
def measure(model, processor, task: Task, rows: list[Row], samples: int = 8) -> Quality:
    """Answer `rows` once greedily and `samples` times at temperature 1, and score them with the task's reward."""
    inputs = processor(
        images=images_of(rows),
        text=[render(processor, row["extra_info"]["question"]) for row in rows],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )
    prompt_length = inputs["input_ids"].shape[1]
    truths = [row["reward_model"]["ground_truth"] for row in rows]

    def score(sequences: Tensor) -> list[dict]:
        texts = processor.batch_decode(sequences[:, prompt_length:], skip_special_tokens=True)
        return [task.compute_score("", text, truth) for text, truth in zip(texts, truths, strict=True)]

    model.eval()
    greedy = score(model.generate(**inputs, max_new_tokens=task.max_response_length, do_sample=False))
    groups, entropies, lengths = [], [], []
    for _ in range(samples):
        output = model.generate(
            **inputs,
            max_new_tokens=task.max_response_length,
            do_sample=True,
            top_k=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
        groups.append(score(output.sequences))
        is_response = output.sequences[:, prompt_length:] != processor.tokenizer.pad_token_id
        entropy = torch.distributions.Categorical(logits=torch.stack(output.logits, dim=1)).entropy()
        entropies.append(entropy[is_response])
        lengths.append(is_response.sum(dim=1).float())

    def sampled(key: str) -> Tensor:
        return torch.tensor([[float(result[key]) for result in results] for results in groups])  # (samples, rows)

    quality, stds = sampled(task.quality), sampled("score").std(dim=0)
    return Quality(
        rows=len(rows),
        samples=samples,
        greedy=sum(result[task.quality] for result in greedy) / len(greedy),
        sampled=float(quality.mean()),
        sampled_quantiles=_quantiles(quality),
        group_mean_quantiles=_quantiles(quality.mean(dim=0)),
        sampled_format=float(sampled("format").mean()),
        sampled_reward=float(sampled("score").mean()),
        entropy=float(torch.cat(entropies).mean()),
        response_length=float(torch.cat(lengths).mean()),
        group_std_quantiles=_quantiles(stds),
        gated=float(((stds > 0) & (stds < GATE)).float().mean()),
        rarely_right=float(((quality > 0.5).float().mean(dim=0) <= 1 / 8).float().mean()),
    )


def _quantiles(values: Tensor) -> list[float]:
    return [round(value, 3) for value in values.flatten().quantile(torch.tensor(QUANTILES)).tolist()]
