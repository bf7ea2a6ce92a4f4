"""The `reward_kwargs` of a reward: its preset, what overrides it, and a clear message about anything else."""

import logging
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any

KEY = "reward.custom_reward_function.reward_kwargs"
_FROM_VERL = {"reward_router_address", "reward_model_tokenizer"}  # passed beside the user's own, unused here

said: set[str] = set()
MOST_MESSAGES = 20  # of a process; messages that name a row would be as many as the rows

_log = logging.getLogger(__name__)


def settle(presets: Mapping[str, Mapping[str, Any]], preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one call: the preset's, overridden by the user's.

    Args:
        presets: name of each preset to its settings, all with the same keys.
        preset: the name that was chosen.
        given: the keyword arguments of the call that are not in the signature.

    Raises:
        ValueError: no such preset, or a setting that no preset has.
    """
    chosen = choose("preset", preset, presets)
    if not given:
        return dict(chosen)
    unknown = given.keys() - chosen.keys() - _FROM_VERL
    if unknown:
        expected = ", ".join(["preset", *chosen])
        raise ValueError(f"reward_kwargs: got {', '.join(sorted(unknown))}, expected some of {expected}; set {KEY}")
    return {**chosen, **{key: value for key, value in given.items() if key not in _FROM_VERL}}


def remembered(settings_of: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """The function with its results remembered: a run calls it with the same settings for every response."""
    cached = lru_cache(maxsize=64, typed=True)(settings_of)

    @wraps(settings_of)
    def recall(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return cached(*args, **kwargs)
        except TypeError:  # a list or a mapping cannot be looked up
            return settings_of(*args, **kwargs)

    return recall


def choose(name: str, value: Any, options: Mapping[str, Any]) -> Any:
    """The option of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        return options[value]
    except (KeyError, TypeError):
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(options)}; set {KEY}.{name}") from None


def within(name: str, value: Any, low: float, high: float = float("inf")) -> float:
    """The number, if it is finite and from `low` to `high`.

    Raises:
        ValueError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and low <= value <= high and value < float("inf")):
        raise ValueError(f"{name}: got {value!r}, expected a number in [{low}, {high}]; set {KEY}.{name}")
    return float(value)


def never_raises(error_result: Callable[[], dict[str, Any]]) -> Callable[[Callable[..., dict]], Callable[..., dict]]:
    """Makes of a `compute_score` one whose failures are results: a reward that raises kills its rollout.

    Args:
        error_result: what such a response gets; its `status` is `error`.

    A ValueError is told as it is, once: its message names a setting. Anything else was not foreseen, and is told with
    the line that raised it.
    """

    def decorate(compute_score: Callable[..., dict]) -> Callable[..., dict]:
        @wraps(compute_score)
        def score(*args: Any, **kwargs: Any) -> dict:
            try:
                return compute_score(*args, **kwargs)
            except ValueError as problem:
                warn_once(str(problem))
            except Exception as problem:
                at = traceback.extract_tb(problem.__traceback__)[-1]
                warn_once(f"{type(problem).__name__}: {problem} ({at.filename}:{at.lineno})")
            return error_result()

        return score

    return decorate


def warn_once(problem: str) -> None:
    """Log a problem that every response of a run would repeat; the status `error` counts the responses."""
    if problem not in said and len(said) < MOST_MESSAGES:
        said.add(problem)
        _log.warning("A reward counts as an error: %s", problem)
