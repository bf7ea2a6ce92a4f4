"""Responses from vLLM's offline engine, with the sampling of verl's validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

from data_prep.types import Row
from verl_plugins.evaluate.device import is_cpu_build
from verl_plugins.evaluate.model_folder import model_config
from verl_plugins.evaluate.settings import Settings
from verl_plugins.seeds import seed_of

BANNED = -100.0  # logit bias; vLLM accepts no less


class Response(NamedTuple):
    """The response to one row, or the reason why it was not asked.

    text: the response.
    tokens: length of the response in tokens.
    finish: vLLM's finish reason, such as "stop" or "length".
    problem: "" or a status: `prompt_too_long`, or `prompt_error`; `text` then gives the reason.
    """

    text: str
    tokens: int
    finish: str
    problem: str = ""


Responder = Callable[[Sequence[Row], Sequence[str]], list[Response]]
"""Maps rows, and one key per row that decides its seed, to one response per row."""


class VllmResponder:
    """Responder that builds prompts as verl does and sends them to vLLM, which starts at the first usable prompt."""

    def __init__(self, folder: Path, settings: Settings, tensor_parallel_size: int):
        from verl_plugins.evaluate.prompt_builder import PromptBuilder

        self.folder, self.settings, self.tensor_parallel_size = folder, settings, tensor_parallel_size
        self.prompts = PromptBuilder(folder, settings.processor)
        self._llm: Any = None
        config = model_config(folder)
        config = {**config, **(config.get("text_config") or {})}
        length = settings.max_prompt_length + settings.max_response_length
        self._max_model_len = min(length, config.get("max_position_embeddings") or length)
        # rows of the embedding that have no token
        unused = range(len(self.prompts.tokenizer), config.get("vocab_size") or 0)
        self._bias = dict.fromkeys([*self.prompts.banned_tokens(), *unused], BANNED) or None

    def __call__(self, rows: Sequence[Row], keys: Sequence[str]) -> list[Response]:
        responses: list[Response | None] = []
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
            images = {} if prompt.images is None else {"image": prompt.images}
            request = {"prompt_token_ids": prompt.token_ids, "multi_modal_data": images}
            requests.append(request | ({"mm_processor_kwargs": dict(self.settings.processor)} if images else {}))
            parameters.append(self._sampling(prompt.length, key))
        answered = iter(self._generate(requests, parameters))
        return [next(answered) if response is None else response for response in responses]

    def _generate(self, requests: list[dict], parameters: list[Any]) -> list[Response]:
        if not requests:
            return []
        self._llm = self._llm or self._start()
        outputs = self._llm.generate(requests, parameters, use_tqdm=False)
        responses = []
        for output in outputs:
            token_ids = list(output.outputs[0].token_ids)
            text = self.prompts.tokenizer.decode(token_ids, skip_special_tokens=True)
            responses.append(Response(text, len(token_ids), str(output.outputs[0].finish_reason)))
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
