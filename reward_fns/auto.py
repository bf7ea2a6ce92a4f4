"""One reward for mixed data: each response goes to the reward of its `data_source`, and all return the same keys.

Use: `reward.custom_reward_function.path=reward_fns/auto.py`; settings of a reward under its name, e.g.
`...reward_kwargs.grounding.format_weight=1.0`, `...reward_kwargs.math.preset=mm_eureka`.

A data source is known by how the last part of its name begins, in any case: `lmms-lab/RefCOCO` and `refcocog_umd` are
grounding. Others are named by the user: `...reward_kwargs.routes.my_data=math`. Responses of a source that is not known
have the status `error`, and one message says which key to set.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from reward_fns import boxed, grounding, math
from reward_fns.settings import KEY, choose, settle, warn_once

REWARDS = {"grounding": grounding.compute_score, "math": math.compute_score, "boxed": boxed.compute_score}
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
    try:
        settings = settle({"auto": {name: {} for name in REWARDS}}, "auto", kwargs)
        name = _route({**ROUTES, **(routes or {})}, data_source)
        score = choose(f"routes.{data_source}", name, REWARDS)
        result = score(data_source, solution_str, ground_truth, extra_info, **settings[name])
    except Exception as problem:  # a reward that raises kills its rollout, and the group shrinks without a word
        warn_once(str(problem))
        result = {"score": 0.0, "accuracy": 0.0, "format": 0.0, "status": "error"}
    return {key: result.get(key, 0.0) for key in ("score", "accuracy", "format", "iou", "status")}


def _route(routes: dict[str, str], data_source: str) -> str:
    """The reward's name; of several beginnings that fit, the longest decides.

    Raises:
        ValueError: none fits.
    """
    name = data_source.rpartition("/")[2].lower()
    fits = [beginning for beginning in routes if name.startswith(beginning.lower())]
    if not fits:
        expected = ", ".join(routes)
        raise ValueError(f"data_source: got {data_source!r}, expected a beginning of {expected}; set {KEY}.routes")
    return routes[max(fits, key=len)]
