"""Supervised warm-up of the tiny VLM on shapes, in three stages, stopped early on purpose.

1. The vision tower learns, through a linear head that is discarded afterwards, to predict for each image token the
   colour and kind of its shape and the corners of that shape. With such dense labels about a hundred steps suffice.
2. With the tower frozen and each image embedded once, the language model learns to list every shape. Three shapes per
   text teach it to read them from the image.
3. Then it learns to answer questions, in prompts rendered by the model's own chat template. The noise in the task's
   answers keeps it uncertain.

Greedy answers are then clearly better than sampled ones. Reinforcement learning can close that gap, and can learn the
scenes with twins, which "train" and "val" contain and "warmup" does not.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_prep.synthetic.shapes import CELL, CELLS, COLOURS, KINDS, ColouredShape, make_row, make_scene
from data_prep.types import Row
from verl_plugins.demo.tasks import Task

IGNORE = -100
RESPONSE = 32  # tokens
CLASSES = (1 + len(COLOURS), 1 + len(KINDS), *[1 + CELLS] * 4)  # colour, kind (0: background), x1, y1, x2, y2 in cells


@dataclass(frozen=True)
class WarmUp:
    """Sizes of the warm-up; the defaults suit `build_tiny_vlm`. `answer_steps` defaults to the task's number."""

    seed: int = 0
    batch: int = 32
    vision_rows: int = 2048
    vision_steps: int = 200
    text_rows: int = 4096
    caption_steps: int = 400
    answer_steps: int | None = None
    learning_rate: float = 2e-3
    eval_rows: int = 64


@dataclass(frozen=True)
class Scores:
    """Means over evaluation rows.

    Args:
        greedy, sampled: quality of greedy and of sampled answers: IoU or accuracy.
        sampled_format: format score of sampled answers.
        sampled_reward: reward of sampled answers.
        entropy: entropy per sampled token, in nats.
        mixed: share of rows whose best and worst sampled answers differ by more than 0.1 in reward.
    """

    greedy: float
    sampled: float
    sampled_format: float
    sampled_reward: float
    entropy: float
    mixed: float


def warm_up(
    model_dir: str | os.PathLike[str], out_dir: str | os.PathLike[str], task: Task, settings: WarmUp = WarmUp()
) -> Scores:
    """Train the model that `build_tiny_vlm` wrote to `model_dir`, write it to `out_dir`, and print its scores.

    The same seed gives the same weights on the same machine. Torch's global random state is not changed.
    """
    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir)
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        _teach_vision(model, processor, settings)
        _teach_language(model, processor, task, settings)
        rows = [task.make_row(index, "val", settings.seed) for index in range(settings.eval_rows)]
        scores = evaluate(model, processor, task, rows)
    model.save_pretrained(out_dir)
    processor.save_pretrained(out_dir)
    print(f"warm-up done: {scores}")
    return scores


@torch.no_grad()
def evaluate(model, processor, task: Task, rows: list[Row], samples: int = 8) -> Scores:
    """Answer `rows` once greedily and `samples` times at temperature 1, and score them with the task's reward."""
    inputs = processor(
        images=_images(rows),
        text=[render(processor, row["extra_info"]["question"]) for row in rows],
        padding=True,
        padding_side="left",
        return_tensors="pt",
    )
    prompt_length = inputs["input_ids"].shape[1]

    def score(sequences: Tensor) -> list[dict]:
        texts = processor.batch_decode(sequences[:, prompt_length:], skip_special_tokens=True)
        truths = [row["reward_model"]["ground_truth"] for row in rows]
        return [task.compute_score("", text, truth) for text, truth in zip(texts, truths, strict=True)]

    model.eval()
    greedy = score(model.generate(**inputs, max_new_tokens=RESPONSE, do_sample=False))
    sampled, entropies = [], []
    for _ in range(samples):
        output = model.generate(
            **inputs,
            max_new_tokens=RESPONSE,
            do_sample=True,
            top_k=0,
            return_dict_in_generate=True,
            output_logits=True,
        )
        sampled.append(score(output.sequences))
        is_response = output.sequences[:, prompt_length:] != processor.tokenizer.pad_token_id
        entropy = torch.distributions.Categorical(logits=torch.stack(output.logits, dim=1)).entropy()
        entropies.append(entropy[is_response].mean())
    rewards = torch.tensor([[result["score"] for result in results] for results in sampled])  # (samples, rows)
    flat = [result for results in sampled for result in results]
    return Scores(
        greedy=_mean(result[task.quality] for result in greedy),
        sampled=_mean(result[task.quality] for result in flat),
        sampled_format=_mean(result["format"] for result in flat),
        sampled_reward=_mean(result["score"] for result in flat),
        entropy=_mean(float(entropy) for entropy in entropies),
        mixed=_mean(float(spread > 0.1) for spread in rewards.amax(0) - rewards.amin(0)),
    )


def render(processor, question: str) -> str:
    """Render the prompt of one image and `question` up to the assistant's answer; the image is one token."""
    content = [{"type": "image"}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def cell_labels(shapes: list[ColouredShape]) -> Tensor:
    """Label each cell of the image; a cell is one image token, in row-major order.

    Returns:
        (tokens, 6) class numbers: colour, kind, x1, y1, x2, y2; the corners of the background are IGNORE.
    """
    grid = torch.zeros(CELLS, CELLS, len(CLASSES), dtype=torch.long)
    grid[..., 2:] = IGNORE
    for shape in shapes:
        x1, y1, x2, y2 = (edge // CELL for edge in shape.box)
        colour, kind = 1 + list(COLOURS).index(shape.colour), 1 + KINDS.index(shape.kind)
        grid[y1:y2, x1:x2] = torch.tensor([colour, kind, x1, y1, x2, y2])
    return grid.flatten(0, 1)


def _teach_vision(model, processor, settings: WarmUp) -> None:
    indices = range(settings.vision_rows)
    rows = [make_row(index, "warmup", settings.seed) for index in indices]
    labels = torch.stack([cell_labels(make_scene(index, "warmup", settings.seed)) for index in indices])
    pixels, grids = _pixels(processor, rows)
    tower = model.model.visual
    head = nn.Linear(tower.config.out_hidden_size, sum(CLASSES))

    def loss(rows_of_batch: Tensor) -> Tensor:
        tokens = tower(pixels[rows_of_batch].flatten(0, 1), grids[rows_of_batch]).pooler_output
        logits = head(tokens).split(CLASSES, dim=-1)
        targets = labels[rows_of_batch].view(-1, len(CLASSES)).unbind(-1)
        losses = [F.cross_entropy(x, y, ignore_index=IGNORE) for x, y in zip(logits, targets, strict=True)]
        return torch.stack(losses).sum()

    parameters = [*tower.parameters(), *head.parameters()]
    _train(loss, parameters, settings.vision_rows, settings.vision_steps, settings, "warm-up 1/3: vision")


def _teach_language(model, processor, task: Task, settings: WarmUp) -> None:
    """Run stages 2 and 3, on the same images, embedded once."""
    rows = [task.make_row(index, "warmup", settings.seed) for index in range(settings.text_rows)]
    image_tokens = torch.cat([_embed(model, processor, chunk) for chunk in _chunks(rows, 512)])
    rng = Random(settings.seed)
    captions, answers = [], []
    for index, row in enumerate(rows):
        captions.append((render(processor, "List the shapes."), task.caption(index, settings.seed)))
        answer = task.answer(index, settings.seed, rng)
        answers.append((render(processor, row["extra_info"]["question"]), answer + "<|im_end|>"))
    _teach_texts(model, processor, captions, image_tokens, settings.caption_steps, settings, "warm-up 2/3: captions")
    answer_steps = settings.answer_steps or task.answer_steps
    _teach_texts(model, processor, answers, image_tokens, answer_steps, settings, "warm-up 3/3: answers")


def _teach_texts(
    model, processor, texts: list[tuple[str, str]], image_tokens: Tensor, steps: int, settings: WarmUp, title: str
) -> None:
    """Train on the next token of the assistant's answers.

    Args:
        texts: (prompt, answer) pairs.
        image_tokens: (texts, tokens, hidden), embedding of each text's image.
    """
    pad, grid = processor.image_token, torch.tensor([[1, 2 * CELLS, 2 * CELLS]])
    expanded = [prompt.replace(pad, pad * image_tokens.shape[1]) + answer for prompt, answer in texts]
    batch = processor.tokenizer(expanded, padding=True, padding_side="left", return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    is_image = ids == processor.image_token_id
    positions, _ = model.model.get_rope_index(ids, is_image.int(), grid.expand(len(texts), 3), attention_mask=mask)
    answer_ids = processor.tokenizer([answer for _, answer in texts])["input_ids"]
    lengths = torch.tensor([len(tokens) for tokens in answer_ids])
    longest = int(lengths.max())
    labels = ids[:, -longest:].masked_fill(torch.arange(longest) < longest - lengths.unsqueeze(1), IGNORE)

    def loss(rows_of_batch: Tensor) -> Tensor:
        ids_of_batch = ids[rows_of_batch]
        word_embeddings = model.get_input_embeddings()(ids_of_batch)
        embeddings = word_embeddings.masked_scatter(is_image[rows_of_batch].unsqueeze(-1), image_tokens[rows_of_batch])
        logits = model(
            inputs_embeds=embeddings,
            attention_mask=mask[rows_of_batch],
            position_ids=positions[:, rows_of_batch],
            logits_to_keep=longest + 1,
            use_cache=False,
        ).logits
        targets = labels[rows_of_batch].flatten()
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets, ignore_index=IGNORE)

    parameters = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    _train(loss, parameters, len(texts), steps, settings, title)


def _train(loss_of, parameters: list[Tensor], rows: int, steps: int, settings: WarmUp, title: str) -> None:
    """Train with AdamW and a one-cycle rate on random batches; `loss_of` maps row numbers (batch,) to a loss."""
    optimizer = torch.optim.AdamW(parameters, betas=(0.9, 0.95))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.learning_rate, total_steps=steps, pct_start=0.1)
    progress = tqdm(range(steps), desc=title)
    for _ in progress:
        loss = loss_of(torch.randint(rows, (settings.batch,)))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}")


@torch.no_grad()
def _embed(model, processor, rows: list[Row]) -> Tensor:
    """Embed the images of `rows`, one each, with the vision tower: (rows, tokens, hidden)."""
    pixels, grids = _pixels(processor, rows)
    return model.model.visual(pixels.flatten(0, 1), grids).pooler_output.view(
        len(rows), -1, model.config.text_config.hidden_size
    )


def _pixels(processor, rows: list[Row]) -> tuple[Tensor, Tensor]:
    """Process images of one size to patches (rows, patches, values) and grids (rows, 3)."""
    batch = processor.image_processor(images=_images(rows), return_tensors="pt")
    return batch["pixel_values"].view(len(rows), -1, batch["pixel_values"].shape[-1]), batch["image_grid_thw"]


def _images(rows: list[Row]) -> list[Image.Image]:
    return [Image.open(io.BytesIO(row["images"][0]["bytes"])) for row in rows]


def _chunks(rows: list[Row], size: int) -> Iterator[list[Row]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)
