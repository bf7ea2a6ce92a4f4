"""Supervised warm-up of the tiny VLM on shapes, in four stages.

1. The vision tower learns, through a linear head that is discarded afterwards, to predict for each image token the
   looks of its shape and the corners of that shape. It learns from the pictures of all tasks.
2. With the tower frozen and each image embedded once, the language model learns to describe pictures. Many facts in a
   text teach it to read them from the image.
3. Then it may learn to answer questions rightly, in prompts rendered by the model's own chat template.
4. Last it learns the task's habits in answering them. Their noise keeps it uncertain, and its commonest answers are
   wrong: boxes that are too tight, counts that are too low.

Reinforcement learning can turn these habits around, and can learn what "train" and "val" contain and "warmup" does not.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from data_prep.synthetic.scenes import CELL, CELLS, COLOURS, KINDS, SIDE, STEP, ColouredShape, overlap
from data_prep.types import Row
from verl_plugins.demo.tasks import Task

IGNORE = -100
SIZES = ("small", "large")
CORNERS = SIDE // STEP + 1
CLASSES = (1 + len(COLOURS), 1 + len(KINDS), 1 + len(SIZES), *[CORNERS] * 4)
"""Classes of an image token: colour, kind, size (0 where there is no shape), and x1, y1, x2, y2 in steps."""
LITTLE = CELL**2 // 8  # pixels of a shape in a cell, up to which the cell's labels are ignored
DESCRIBE = "List the shapes."


@dataclass(frozen=True)
class WarmUp:
    """Sizes of the warm-up that suit `build_tiny_vlm`; those of the answers are the task's."""

    seed: int = 0
    batch: int = 32
    vision_rows: int = 8192  # of each task
    vision_steps: int = 2200
    text_rows: int = 16384
    caption_steps: int = 2000
    learning_rate: float = 2e-3


def teach_vision(model, processor, tasks: Iterable[Task], settings: WarmUp) -> None:
    """Train the vision tower on the pictures of the tasks (stage 1). The head's weights come from torch's generator."""
    pixels, labels = [], []
    for task in tasks:
        for chunk in _chunks(range(settings.vision_rows), 512):
            rows = [task.make_row(index, "warmup", settings.seed) for index in chunk]
            pixels.append(_pixels(processor, rows)[0].half())
            scenes = (task.make_scene(index, "warmup", settings.seed) for index in chunk)
            labels.append(torch.stack([cell_labels(scene) for scene in scenes]))
    all_pixels, all_labels = torch.cat(pixels), torch.cat(labels)
    tower = model.model.visual
    head = nn.Linear(tower.config.out_hidden_size, sum(CLASSES))
    grid = torch.tensor([[1, 2 * CELLS, 2 * CELLS]])

    def loss(rows_of_batch: Tensor) -> Tensor:
        patches = all_pixels[rows_of_batch].float().flatten(0, 1)
        tokens = tower(patches, grid.expand(len(rows_of_batch), 3)).pooler_output
        logits = head(tokens).split(CLASSES, dim=-1)
        targets = all_labels[rows_of_batch].view(-1, len(CLASSES)).unbind(-1)
        losses = [F.cross_entropy(x, y, ignore_index=IGNORE) for x, y in zip(logits, targets, strict=True)]
        return torch.stack(losses).sum()

    _train(loss, [*tower.parameters(), *head.parameters()], len(all_pixels), settings.vision_steps, settings, "vision")


@torch.no_grad()
def embed_images(model, processor, rows: Sequence[Row]) -> Tensor:
    """Embed the images of `rows`, one each, with the vision tower: (rows, tokens, hidden)."""
    embedded = []
    for chunk in _chunks(rows, 512):
        pixels, grids = _pixels(processor, chunk)
        tokens = model.model.visual(pixels.flatten(0, 1), grids).pooler_output
        embedded.append(tokens.view(len(chunk), -1, model.config.text_config.hidden_size))
    return torch.cat(embedded)


def teach_captions(model, processor, task: Task, image_tokens: Tensor, settings: WarmUp) -> None:
    """Train the language model to describe the pictures (stage 2)."""
    prompt = render(processor, DESCRIBE)
    texts = [(prompt, task.caption(index, settings.seed)) for index in range(settings.text_rows)]
    _teach_texts(model, processor, texts, image_tokens, settings.caption_steps, settings, f"{task.name}: captions")


def teach_answers(
    model, processor, task: Task, rows: Sequence[Row], image_tokens: Tensor, settings: WarmUp, has_habits: bool
) -> None:
    """Train the language model to answer the questions: rightly (stage 3), or with the task's habits (stage 4)."""
    rng = Random(settings.seed)
    texts = []
    for index, row in enumerate(rows):
        answer = task.answer(index, settings.seed, rng, has_habits)
        texts.append((render(processor, row["extra_info"]["question"]), answer + "<|im_end|>"))
    steps = task.answer_steps if has_habits else task.right_steps
    title = f"{task.name}: {'habits' if has_habits else 'right answers'}"
    _teach_texts(model, processor, texts, image_tokens, steps, settings, title)


def render(processor, question: str) -> str:
    """Render the prompt of one image and `question` up to the assistant's answer; the image is one token."""
    content = [{"type": "image"}, {"type": "text", "text": question}]
    messages = [{"role": "user", "content": content}]
    return processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def cell_labels(shapes: Sequence[ColouredShape]) -> Tensor:
    """Label each cell of the image; a cell is one image token, in row-major order.

    Returns:
        (tokens, 7) class numbers, as in CLASSES, of the shape that covers most of the cell. The corners of a cell
        without a shape are IGNORE, and everything of a cell with LITTLE of one.
    """
    labels = torch.zeros(CELLS**2, len(CLASSES), dtype=torch.long)
    labels[:, 3:] = IGNORE
    for number in range(CELLS**2):
        x, y = CELL * (number % CELLS), CELL * (number // CELLS)
        pixels = [overlap(shape.box, (x, y, x + CELL, y + CELL)) for shape in shapes]
        covered = max(pixels)
        if covered > LITTLE or (covered and covered == _area(shapes[pixels.index(covered)].box)):
            shape = shapes[pixels.index(covered)]
            colour, kind = 1 + list(COLOURS).index(shape.colour), 1 + KINDS.index(shape.kind)
            corners = (edge // STEP for edge in shape.box)
            labels[number] = torch.tensor([colour, kind, 1 + SIZES.index(shape.size), *corners])
        elif covered:
            labels[number] = IGNORE
    return labels


def _area(box: tuple[int, int, int, int]) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


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
    widths = mask.sum(dim=1)

    def loss(rows_of_batch: Tensor) -> Tensor:
        columns = slice(-int(widths[rows_of_batch].max()), None)
        ids_of_batch = ids[rows_of_batch, columns]
        word_embeddings = model.get_input_embeddings()(ids_of_batch)
        is_image_of_batch = is_image[rows_of_batch, columns].unsqueeze(-1)
        logits = model(
            inputs_embeds=word_embeddings.masked_scatter(is_image_of_batch, image_tokens[rows_of_batch]),
            attention_mask=mask[rows_of_batch, columns],
            position_ids=positions[:, rows_of_batch, columns],
            logits_to_keep=longest + 1,
            use_cache=False,
        ).logits
        targets = labels[rows_of_batch].flatten()
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets, ignore_index=IGNORE)

    parameters = [*model.model.language_model.parameters(), *model.lm_head.parameters()]
    _train(loss, parameters, len(texts), steps, settings, title)


def _train(
    loss_of: Callable[[Tensor], Tensor],
    parameters: list[nn.Parameter],
    rows: int,
    steps: int,
    settings: WarmUp,
    title: str,
) -> None:
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


def _pixels(processor, rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Process images of one size to patches (rows, patches, values) and grids (rows, 3)."""
    batch = processor.image_processor(images=images_of(rows), return_tensors="pt")
    return batch["pixel_values"].view(len(rows), -1, batch["pixel_values"].shape[-1]), batch["image_grid_thw"]


def images_of(rows: Iterable[Row]) -> list[Image.Image]:
    """Decode the first image of each row."""
    return [Image.open(io.BytesIO(row["images"][0]["bytes"])) for row in rows]


def _chunks(rows: Sequence, size: int) -> Iterator[Sequence]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
