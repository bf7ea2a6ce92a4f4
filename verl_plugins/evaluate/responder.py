"""Responses from vLLM's offline engine, with the sampling of verl's validation."""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from PIL import Image

from data_prep.types import Row
from verl_plugins.evaluate.device import is_cpu_build
from verl_plugins.evaluate.model_folder import model_config
from verl_plugins.evaluate.settings import Settings
from verl_plugins.seeds import seed_of

if TYPE_CHECKING:
    from verl_plugins.evaluate.prompt_builder import Prompt

BANNED = -100.0  # logit bias; vLLM accepts no less


class Response(NamedTuple):
    """The response to one row, or the reason why it was not asked.

    text: the response.
    tokens: length of the response in tokens.
    finish: vLLM's finish reason, such as "stop" or "length".
    problem: "" or a status: `prompt_too_long`, or `prompt_error`; `text` then gives the reason.
    token_ids: the response's tokens.
    pixel_change: mean absolute change of the row's images by an attack, in 8-bit levels; None if none was attacked.
    """

    text: str
    tokens: int
    finish: str
    problem: str = ""
    token_ids: Sequence[int] = ()
    pixel_change: float | None = None


ImageAttack = Callable[[Sequence[Any], str], Sequence[Any]]
"""Maps the images of a row, each (3, H, W) uint8, and the row's key to new images of the same shapes."""

Batch = tuple[Sequence[Row], Sequence[str]]
"""Rows, and the key of each."""


class Responder(ABC):
    """Answers rows."""

    @abstractmethod
    def __call__(self, rows: Sequence[Row], keys: Sequence[str], attack: ImageAttack | None) -> list[Response]:
        """Return one response per row, to its images as `attack` changes them.

        Args:
            rows: rows of the data.
            keys: one key per row, which decides its seed and the attack's draws.
            attack: None to leave the images as they are.
        """

    def answers(self, batches: Iterable[Batch], attack: ImageAttack | None) -> Iterator[list[Response]]:
        """Yield the responses of each batch, in order."""
        for rows, keys in batches:
            yield self(rows, keys, attack)

    @abstractmethod
    def release(self) -> None:
        """Free the memory of the devices, for another model; a later call takes it again."""


class VllmResponder(Responder):
    """Responder that builds prompts as verl does and sends them to vLLM, which starts at the first usable prompt."""

    def __init__(self, folder: Path, settings: Settings, tensor_parallel_size: int):
        from verl_plugins.evaluate.prompt_builder import PromptBuilder

        self.folder, self.settings, self.tensor_parallel_size = folder, settings, tensor_parallel_size
        self.prompts = PromptBuilder(folder, settings.processor, settings.chat_template)
        self._llm: Any = None
        config = model_config(folder)
        config = {**config, **(config.get("text_config") or {})}
        length = settings.max_prompt_length + settings.max_response_length
        self._max_model_len = min(length, config.get("max_position_embeddings") or length)
        # rows of the embedding that have no token
        unused = range(len(self.prompts.tokenizer), config.get("vocab_size") or 0)
        self._bias = dict.fromkeys([*self.prompts.banned_tokens(), *unused], BANNED) or None

    def __call__(self, rows: Sequence[Row], keys: Sequence[str], attack: ImageAttack | None) -> list[Response]:
        if attack is not None:
            self.prompts.check_attack()
        responses: list[Response | None] = []
        changes: list[float | None] = []
        requests, parameters = [], []
        for row, key in zip(rows, keys, strict=True):
            try:
                prompt = self.prompts.build(row)
            except Exception as error:  # a defective row can raise anything in verl's code
                responses.append(Response(f"{type(error).__name__}: {error}"[:500], 0, "", "prompt_error"))
                continue
            if prompt.length > min(self.settings.max_prompt_length, self._max_model_len - 1):
                responses.append(Response(f"{prompt.length} tokens", 0, "", "prompt_too_long"))
                continue
            responses.append(None)
            images, change = self._images(prompt, key, attack)
            data = {} if images is None else {"image": images}
            request = {"prompt_token_ids": prompt.token_ids, "multi_modal_data": data}
            requests.append(request | ({"mm_processor_kwargs": dict(self.settings.processor)} if data else {}))
            parameters.append(self._sampling(prompt.length, key))
            changes.append(change)
        generated = zip(self._generate(requests, parameters), changes, strict=True)
        answered = (Response(*response[:-1], change) for response, change in generated)
        return [next(answered) if response is None else response for response in responses]

    def release(self) -> None:
        """Free the memory of the GPU. vLLM's CPU build is left as it is: it shares its process and needs no room."""
        if self._llm is not None and not is_cpu_build():
            import torch

            self._llm = None
            gc.collect()  # vLLM ends its processes when its engine is collected
            torch.cuda.empty_cache()

    def _images(self, prompt: Prompt, key: str, attack: ImageAttack | None) -> tuple[list[Any] | None, float | None]:
        """Return the prompt's images as `attack` changes them, and the mean absolute change in 8-bit levels."""
        if attack is None or not prompt.images:
            return prompt.images, None
        clean = self.prompts.pixels(prompt)
        attacked = attack(clean, key)
        pairs = zip(attacked, clean, strict=True)
        change = [(after.int() - before.int()).abs().flatten() for after, before in pairs]
        images = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in attacked]
        return images, sum(int(part.sum()) for part in change) / sum(map(len, change))

    def _generate(self, requests: list[dict], parameters: list[Any]) -> list[Response]:
        if not requests:
            return []
        self._llm = self._llm or self._start()
        outputs = self._llm.generate(requests, parameters, use_tqdm=False)
        responses = []
        for output in outputs:
            token_ids = list(output.outputs[0].token_ids)
            text = self.prompts.tokenizer.decode(token_ids, skip_special_tokens=True)
            responses.append(Response(text, len(token_ids), str(output.outputs[0].finish_reason), "", token_ids))
        return responses

    def _sampling(self, prompt_length: int, key: str) -> Any:
        from vllm import SamplingParams

        is_greedy = self.settings.temperature == 0
        return SamplingParams(
            temperature=self.settings.temperature,
            repetition_penalty=1.0,
            max_tokens=min(self.settings.max_response_length, self._max_model_len - prompt_length),
            seed=None if is_greedy else seed_of(self.settings.seed, key),
            logit_bias=self._bias,
        )

    def _start(self) -> Any:
        from vllm import LLM

        return LLM(
            model=str(self.folder),
            dtype=cast(Any, self.settings.dtype),
            max_model_len=self._max_model_len,
            tensor_parallel_size=self.tensor_parallel_size,
            enforce_eager=is_cpu_build(),
            enable_prefix_caching=False,  # else a response's rounding would depend on the rows asked before it
            seed=0,
        )
