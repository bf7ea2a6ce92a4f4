"""Attacks along the model's own gradient, which need its response to the clean image first.

Three passes, each of which goes on after a stop. vLLM answers every row on the clean images (`clean_responses.jsonl`)
and frees the device. Then transformers loads the model and attacks the images of one row after the other; the images
are PNGs in `attacked_images`, and a row's line in `attacked.jsonl` follows when they are on disk. vLLM then answers
again, on the attacked images, as in every evaluation.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.atomic import write_atomically
from data_prep.types import Row
from verl_plugins.evaluate.answer_rows import answer_rows, row_key, rows_of
from verl_plugins.evaluate.attack_settings import AttackSettings, gradient_attacks
from verl_plugins.evaluate.data_rows import DataFile
from verl_plugins.evaluate.format import DataFormat, UnusableRow
from verl_plugins.evaluate.responder import Responder, Response
from verl_plugins.evaluate.results_folder import read_lines
from verl_plugins.evaluate.settings import Settings
from verl_plugins.evaluate.store import ATTACKED, BatchLog, Key, Line, Store, key_of

CLEAN_RESPONSES = "clean_responses.jsonl"
IMAGES = "attacked_images"


class StoredImages:
    """The attacked images of a folder as an attack (`responder.ImageAttack`)."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __call__(self, images: Sequence[Any], key: str) -> list[Any]:
        """Return the attacked images of the row with this key."""
        return [self._read(key, number) for number in range(len(images))]

    def write(self, key: str, images: Sequence[Any]) -> None:
        """Write the attacked images of a row, each (3, H, W) uint8."""
        from PIL import Image

        for number, pixels in enumerate(images):
            encoded = io.BytesIO()
            Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(encoded, "PNG", compress_level=1)
            path = self.path(key, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, encoded.getvalue())

    def path(self, key: str, number: int) -> Path:
        """Return the file of a row's image."""
        file, _, row = key.partition("/")
        return self.folder / file[:12] / f"{row}-{number}.png"

    def _read(self, key: str, number: int) -> Any:
        import torch
        from PIL import Image

        path = self.path(key, number)
        if not path.is_file():
            raise SystemExit(
                f"{path}: got no such file, expected an image that the attack wrote; remove {self.folder.parent} and "
                "start again"
            )
        with Image.open(path) as image:
            pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
            return pixels.view(image.height, image.width, 3).permute(2, 0, 1)


def attack_images(
    attack: AttackSettings,
    folder: Path,
    data: Sequence[DataFile],
    keys: Sequence[Key],
    settings: Settings,
    responder: Responder,
    store: Store,
) -> StoredImages:
    """Make the attacked images of all rows, or of those that are left after a stop.

    Args:
        attack: the attack.
        folder: folder of the model.
        data: the files.
        keys: all rows of the evaluation, in order.
        settings: settings of the evaluation.
        responder: answers rows; its memory is released before the model is loaded again.
        store: the results folder.
    """
    stored = StoredImages(store.folder.resolve() / IMAGES)
    responses, attacked = store.log(CLEAN_RESPONSES), store.log(ATTACKED)
    done = attacked.resume(keys, 1)
    if done == len(keys):
        return stored
    answered = responses.resume(keys, settings.batch_size)
    if answered < len(keys):
        print("responses to the clean images", flush=True)
        answer_rows(data, keys, answered, settings, responder, responses, to_line=_response_line)
        responder.release()
    print(f"attack on the images, {done:,} of {len(keys):,} rows done before" if done else "attack on the images")
    lines = {key_of(line): line for line in read_lines(responses.path)}
    _attack_rows(attack, folder, data, keys[done:], settings, lines, stored, attacked)
    return stored


def _attack_rows(
    attack: AttackSettings,
    folder: Path,
    data: Sequence[DataFile],
    keys: Sequence[Key],
    settings: Settings,
    responses: Mapping[Key, Line],
    stored: StoredImages,
    log: BatchLog,
) -> None:
    """Attack the images of the rows with these keys, given the lines of their clean responses."""
    from tqdm import tqdm

    from verl_plugins.evaluate.prompt_builder import PromptBuilder
    from verl_plugins.methods.method import imported

    prompts = PromptBuilder(folder, settings.processor, settings.chat_template)
    prompts.check_attack()
    attack_row = imported(gradient_attacks()[attack.name])(
        folder, prompts.processor, settings.processor, settings.dtype, int(attack.strength), attack.steps
    )
    for key, row in tqdm(rows_of(data, keys), total=len(keys), unit="row"):
        line = {"file": key[0], "row": key[1]}
        response = responses[key]
        if not isinstance(row, UnusableRow) and row["images"] and not response["problem"]:
            prompt = prompts.build(row).processed
            images, before, after = attack_row(prompt.token_ids, prompt.image_inputs, response["token_ids"])
            stored.write(row_key(data, key), images)
            line |= {"images": len(images), "entropy_before": before, "entropy_after": after}
        log.append([line])
    del attack_row
    _free_memory()


def _free_memory() -> None:
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def _response_line(row: Row, response: Response, form: DataFormat, reward: Mapping[str, Any]) -> Line:
    return {"problem": response.problem, "token_ids": list(response.token_ids)}
