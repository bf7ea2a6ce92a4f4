"""Checks the `reward_kwargs` of a reward: a preset, settings that override it, and a message for anything wrong."""

import logging
import traceback
from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import Any

KEY = "reward.custom_reward_function.reward_kwargs"
_FROM_VERL = {
    "reward_router_address",
    "reward_model_tokenizer",
}  # passed by verl with the user's settings; unused

reported: set[str] = set()  # messages that this process has logged
MAX_MESSAGES = 20  # of a process; without a limit, messages that name a row would fill the log

_log = logging.getLogger(__name__)


def settle(presets: Mapping[str, Mapping[str, Any]], preset: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of one call: those of the preset, overridden by the user's.

    Args:
        presets: settings of each preset, by name; all presets have the same keys.
        preset: name of the preset to use.
        given: the user's settings.

    Raises:
        ValueError: the preset does not exist, or a setting that no preset has.
    """
    chosen = choose("preset", preset, presets)
    if not given:
        return dict(chosen)
    unknown = given.keys() - chosen.keys() - _FROM_VERL
    if unknown:
        expected = ", ".join(["preset", *chosen])
        raise ValueError(f"reward_kwargs: got {', '.join(sorted(unknown))}, expected some of {expected}; set {KEY}")
    return {**chosen, **{key: value for key, value in given.items() if key not in _FROM_VERL}}


def cache_settings(settings_of: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Cache the results of a function that a run calls with the same settings for every response."""
    cached = lru_cache(maxsize=64, typed=True)(settings_of)

    @wraps(settings_of)
    def cached_settings_of(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return cached(*args, **kwargs)
        except TypeError:  # a list or a mapping among the arguments is not hashable
            return settings_of(*args, **kwargs)

    return cached_settings_of


def choose(name: str, value: Any, options: Mapping[str, Any]) -> Any:
    """Return the option of this name.

    Args:
        name: name of the setting, for the message.
        value: name of the option.
        options: options by name.

    Raises:
        ValueError: there is no such option.
    """
    try:
        return options[value]
    except (KeyError, TypeError):
        raise ValueError(f"{name}: got {value!r}, expected one of {', '.join(options)}; set {KEY}.{name}") from None


def within(name: str, value: Any, low: float, high: float = float("inf")) -> float:
    """Return the number if it is finite and in [low, high].

    Raises:
        ValueError: it is not.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and low <= value <= high and value < float("inf")):
        raise ValueError(f"{name}: got {value!r}, expected a number in [{low}, {high}]; set {KEY}.{name}")
    return float(value)


def listed(ground_truth: Any) -> list[Any]:
    """Return the golds of a row, any of which is right: those of a list, tuple or array, else the only one."""
    if hasattr(ground_truth, "tolist"):  # a NumPy array, as pandas reads lists of a parquet file
        ground_truth = ground_truth.tolist()
    return list(ground_truth) if isinstance(ground_truth, list | tuple) else [ground_truth]


def never_raises(error_result: Callable[[], dict[str, Any]]) -> Callable[[Callable[..., dict]], Callable[..., dict]]:
    """Decorate a `compute_score` to return a result instead of raising, since a reward that raises ends its rollout.

    Errors are logged once each. A ValueError is about a setting, so its message is logged as it is. Any other error is
    a defect, and is logged with the line that raised it.

    Args:
        error_result: makes the result of a response whose score raised; its `status` is `error`.
    """

    def decorate(compute_score: Callable[..., dict]) -> Callable[..., dict]:
        @wraps(compute_score)
        def score(*args: Any, **kwargs: Any) -> dict:
            try:
                return compute_score(*args, **kwargs)
            except ValueError as problem:
                warn_once(str(problem))
            except Exception as problem:
                frame = traceback.extract_tb(problem.__traceback__)[-1]
                warn_once(f"{type(problem).__name__}: {problem} ({frame.filename}:{frame.lineno})")
            return error_result()

        return score

    return decorate


def warn_once(problem: str) -> None:
    """Log a problem, unless this process has logged it before; the status `error` counts its responses."""
    if problem not in reported and len(reported) < MAX_MESSAGES:
        reported.add(problem)
        _log.warning("A reward counts as an error: %s", problem)
