"""Reward for mixed data: each response is scored by the reward of its `data_source`; all return the same keys.

Use: `reward.custom_reward_function.path=reward_fns/auto.py`. Settings of a reward are given under its name, e.g.
`...reward_kwargs.grounding.format_weight=1.0` or `...reward_kwargs.math.preset=mm_eureka`.

A data source is recognised by the beginning of the last part of its name, in upper or lower case: `lmms-lab/RefCOCO`
and `refcocog_umd` are grounding. A name that begins with a reward and a slash has that reward: `math/birds`, as
`python -m data_prep jsonl` writes it. The user adds others, which come first: `...reward_kwargs.routes.my_data=math`.
Responses of an unknown source have the status `error`, and one message in the log says which key to set.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from collections.abc import Mapping
from typing import Any

from reward_fns import boxed, grounding, math
from reward_fns.settings import KEY, choose, never_raises, settle

REWARDS = {"grounding": grounding, "math": math, "boxed": boxed}
_BY_REWARD = {"auto": {name: {} for name in REWARDS}}
ROUTES = {  # beginning of a data source's name: key of REWARDS
    "shapes_grounding": "grounding",
    "refcoco": "grounding",
    "lisa": "grounding",
    "refgta": "grounding",
    "shapes_reasoning": "boxed",
    "geometry3k": "math",
    "mmk12": "math",
    "mm_eureka": "math",
    "mm-eureka": "math",
    "virl39k": "math",
}
_ERROR = {"score": 0.0, "accuracy": 0.0, "format": 0.0, "iou": 0.0, "status": "error"}


@never_raises(lambda: dict(_ERROR))
def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, routes=None, **kwargs) -> dict:
    """Score one response; never raises.

    Args:
        data_source: name of the data set.
        solution_str, ground_truth, extra_info: as the reward of the data set expects them.
        routes: further routes, as in ROUTES.
        **kwargs: settings of the rewards, a mapping for each of `grounding`, `math` and `boxed`.

    Returns:
        Always the keys `score`, `accuracy`, `format`, `iou` (0.0 if the answer is not boxes) and `status`.
    """
    settings = settle(_BY_REWARD, "auto", kwargs)
    name = reward_of(data_source, routes)
    result = REWARDS[name].compute_score(data_source, solution_str, ground_truth, extra_info, **settings[name])
    return {**_ERROR, **result}


def settings_of(routes=None, **kwargs) -> dict[str, dict[str, Any]]:
    """Return the checked settings of every reward, by its name.

    Raises:
        ValueError: a reward or a setting does not exist, or a value is not allowed.
    """
    settings = settle(_BY_REWARD, "auto", kwargs)
    for beginning, route in (routes or {}).items():
        choose(f"routes.{beginning}", route, REWARDS)
    checked = {}
    for name, reward in REWARDS.items():
        if not isinstance(settings[name], Mapping):
            raise ValueError(f"{name}: got {settings[name]!r}, expected settings by name; set {KEY}.{name}.<setting>")
        try:
            checked[name] = reward.settings_of(**settings[name])
        except ValueError as problem:
            raise ValueError(str(problem).replace(f"set {KEY}", f"set {KEY}.{name}")) from None
    return checked


def reward_of(data_source: str, routes: Mapping[str, str] | None = None) -> str:
    """Return the key of REWARDS for a data source; if several routes match, the longest decides.

    Raises:
        ValueError: no route matches, or the route names no reward.
    """
    whose, slash, _ = str(data_source).partition("/")
    names_reward = bool(slash) and whose in REWARDS
    all_routes = {**({} if names_reward else ROUTES), **(routes or {})}
    name = str(data_source).rpartition("/")[2].lower()
    matches = [beginning for beginning in all_routes if name.startswith(beginning.lower())]
    if not matches and names_reward:
        return whose
    if not matches:
        expected = ", ".join(all_routes)
        raise ValueError(f"data_source: got {data_source!r}, expected a beginning of {expected}; set {KEY}.routes")
    route = all_routes[max(matches, key=len)]
    choose(f"routes.{data_source}", route, REWARDS)
    return route
