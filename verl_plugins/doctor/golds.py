"""The doctor on the reward: whether a row's gold answer earns full marks by the run's own reward function."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from omegaconf import DictConfig

from reward_fns.earnable import WRONG, gold_status
from reward_fns.forms import FORMS, perfect_response
from reward_fns.settings import listed
from verl_plugins.doctor.doctor_check import OK, WARN, DoctorCheck
from verl_plugins.doctor.sampled_rows import Finding
from verl_plugins.preflight.columns import reads_gold
from verl_plugins.preflight.reward import own_reward, reward_settings
from verl_plugins.preflight.reward_function import KEY, working_directory_on_path

TRIED = 8
"""Rows of a file on which a foreign reward function is tried; it may be slow."""

GOLD_WIDTH = 60
"""Characters of a gold that are shown."""


def gold_checks(config: DictConfig) -> OwnGolds | ForeignGolds | None:
    """Return what checks the golds of a file; None if the run's reward does not read them.

    Raises:
        Exception: whatever the import of the user's reward function raises.
    """
    if not reads_gold(config):
        return None
    name = own_reward(config)
    return OwnGolds(name, reward_settings(config)) if name else ForeignGolds(config)


class OwnGolds:
    """Scores golds by a reward of this package, in a perfect response.

    Args:
        reward: "auto", or a key of ``reward_fns.auto.REWARDS``.
        settings: its ``reward_kwargs``.
    """

    def __init__(self, reward: str, settings: dict[str, Any]):
        self.reward, self.settings = reward, settings

    def __call__(self, row: Mapping[str, Any], prompt: object) -> Finding | None:
        """Return what is wrong with a row's gold; None if it earns full marks."""
        gold = (row["reward_model"] or {}).get("ground_truth")
        try:
            status = gold_status(row["data_source"], gold, row.get("extra_info"), self.reward, **self.settings)
        except ValueError as error:
            return Finding(f"every response gets the status error ({error})", _shortened(gold))
        if status is None:
            return None
        reason = " (the reward finds it different from itself)" if status == WRONG else ""
        found = f"a perfect response with the gold gets the status {status}{reason}, not full marks"
        return Finding(found, _shortened(gold))

    def summary(self) -> DoctorCheck | None:
        """Return nothing: each problem is told with its rows."""
        return None


class ForeignGolds:
    """Tries golds on another reward function, in the plain forms of a response, since its own is not known.

    Args:
        config: the run's config.

    Raises:
        Exception: whatever the import of the function raises.
    """

    def __init__(self, config: DictConfig):
        from verl.trainer.ppo.reward import get_custom_reward_fn
        from verl.utils.reward_score import default_compute_score

        custom = config.reward.custom_reward_function
        with working_directory_on_path():
            loaded: Any = get_custom_reward_fn(config)
        self.is_default = loaded is None
        self.name = "verl's own reward" if self.is_default else f"{custom.path}, {custom.name}"
        self.is_async = inspect.iscoroutinefunction(getattr(loaded, "args", [None])[0])
        self.score: Callable[..., Any] = loaded or default_compute_score
        self.best: dict[str, float] = {}  # gold: its highest score
        self.errors: Counter[str] = Counter()
        self.tried = 0

    def __call__(self, row: Mapping[str, Any], prompt: object) -> Finding | None:
        """Try a row's gold; return what is certainly wrong with it."""
        if self.is_async or self.tried >= TRIED:
            return None
        self.tried += 1
        golds = (row["reward_model"] or {}).get("ground_truth")
        scores = []
        for form in FORMS:
            response = perfect_response(str(next(iter(listed(golds)), "")), form)
            extra = {**(row.get("extra_info") or {}), "num_turns": 2, "rollout_reward_scores": {}}
            try:
                result = self.score(
                    data_source=row["data_source"], solution_str=response, ground_truth=golds, extra_info=extra
                )
                scores.append(float(result["score"] if isinstance(result, Mapping) else result))
            except NotImplementedError as error:
                if self.is_default:
                    fix = f"set {KEY}.path=pkg://reward_fns.auto, or to a reward of your own"
                    return Finding(f"verl's own reward ends the run ({error})", _shortened(golds), fix)
                self.errors[f"{type(error).__name__}: {error}"] += 1
            except Exception as error:  # of the user's function
                self.errors[f"{type(error).__name__}: {error}"] += 1
        if scores:
            self.best[_shortened(golds)] = max(scores)
        return None

    def summary(self) -> DoctorCheck | None:
        """Return what the trials showed; None if there were none."""
        what = f"reward {self.name}"
        if self.is_async:
            return DoctorCheck(what, f"{what}: asynchronous, and so not tried on golds")
        if not self.best and not self.errors:
            return None
        line = f"{what}: golds of {self.tried} rows, each alone and in the forms {', '.join(FORMS)}: "
        if not self.best:
            ((error, _),) = self.errors.most_common(1)
            return DoctorCheck(what, f"{line}every one raised {' '.join(error.split())[:200]}", WARN)
        full = max(self.best.values())
        low = {gold: score for gold, score in self.best.items() if score < full or full <= 0}
        if not low:
            return DoctorCheck(what, f"{line}all get {full:g}", OK)
        gold, score = next(iter(low.items()))
        reached = (
            f"{len(low)} of {len(self.best)} golds get less than {full:g}" if full > 0 else "none gets more than 0"
        )
        return DoctorCheck(what, f"{line}{reached}, e.g. {gold} {score:g}", WARN)


def _shortened(gold: Any) -> str:
    text = repr(gold)
    return text if len(text) <= GOLD_WIDTH else f"{text[: GOLD_WIDTH - 3]}..."
