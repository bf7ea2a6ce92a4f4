"""One reward for mixed data: each response goes to the reward of its `data_source`, and all return the same keys.

Use: `reward.custom_reward_function.path=reward_fns/auto.py`; settings of a reward under its name, e.g.
`...reward_kwargs.grounding.format_weight=1.0`, `...reward_kwargs.math.preset=mm_eureka`.

A data source is known by how the last part of its name begins, in any case: `lmms-lab/RefCOCO` and `refcocog_umd` are
grounding. Others are named by the user: `...reward_kwargs.routes.my_data=math`. Responses of a source that is not known
have the status `error`, and one message says which key to set.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from collections.abc import Mapping
from typing import Any

from reward_fns import boxed, grounding, math
from reward_fns.settings import KEY, choose, never_raises, settle

REWARDS = {"grounding": grounding, "math": math, "boxed": boxed}
_BY_REWARD = {"auto": {name: {} for name in REWARDS}}
ROUTES = {
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
        solution_str, ground_truth, extra_info: as the reward of that data set takes them.
        routes: how names of further data sets begin, to a name of REWARDS.
        **kwargs: settings by reward: `grounding`, `math`, `boxed`, each a mapping.

    Returns:
        Always the keys `score`, `accuracy`, `format`, `iou` (0.0 where there are no boxes) and `status`.
    """
    settings = settle(_BY_REWARD, "auto", kwargs)
    name = reward_of(data_source, routes)
    result = REWARDS[name].compute_score(data_source, solution_str, ground_truth, extra_info, **settings[name])
    return {**_ERROR, **result}


def settings_of(routes=None, **kwargs) -> dict[str, dict[str, Any]]:
    """The settings of every reward, checked.

    Raises:
        ValueError: a reward or setting that does not exist, or a value that it cannot have.
    """
    settings = settle(_BY_REWARD, "auto", kwargs)
    for beginning, route in (routes or {}).items():
        choose(f"routes.{beginning}", route, REWARDS)
    found = {}
    for name, reward in REWARDS.items():
        if not isinstance(settings[name], Mapping):
            raise ValueError(f"{name}: got {settings[name]!r}, expected settings by name; set {KEY}.{name}.<setting>")
        try:
            found[name] = reward.settings_of(**settings[name])
        except ValueError as problem:
            raise ValueError(str(problem).replace(f"set {KEY}", f"set {KEY}.{name}")) from None
    return found


def reward_of(data_source: str, routes: Mapping[str, str] | None = None) -> str:
    """The name in REWARDS that scores a data source; of several beginnings that fit, the longest decides.

    Raises:
        ValueError: none fits, or the one that fits leads to no reward.
    """
    known = {**ROUTES, **(routes or {})}
    name = data_source.rpartition("/")[2].lower()
    fits = [beginning for beginning in known if name.startswith(beginning.lower())]
    if not fits:
        expected = ", ".join(known)
        raise ValueError(f"data_source: got {data_source!r}, expected a beginning of {expected}; set {KEY}.routes")
    route = known[max(fits, key=len)]
    choose(f"routes.{data_source}", route, REWARDS)
    return route
