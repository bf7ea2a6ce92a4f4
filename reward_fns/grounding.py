"""Visual grounding reward: overlap of the predicted boxes with the true ones, plus a bonus for a well-formed answer.

    score = IoU + format_weight * format

Use: `reward.custom_reward_function.path=reward_fns/grounding.py`, settings by `...reward_kwargs.<name>=<value>`.

| preset | format_weight | form | source |
|---|---|---|---|
| `ecvgpo` (default) | 0.5 | `answer` | ECVGPO, arXiv 2512.06726 |
| `vlm_r1` | 1.0 | `think_answer` | VLM-R1, arXiv 2504.07615 |

| setting | default | meaning |
|---|---|---|
| `form` | the preset's | a name of `reward_fns.forms`; `format` is 1 when it is kept and the answer holds boxes |
| `iou_threshold` | null | null: the IoU itself is scored; a number: 1 above it, else 0 |
| `extra_box_penalty` | 1 | each box beyond the true ones lowers the IoU as much as a missed one; 0: none does |
| `box_space` | pixels | of the model's boxes: a name of `reward_fns.boxes.SPACES`; the gold is always in `pixels` |
| `patch_size`, `merge_size` | null, 2 | of the processor, for `box_space=processed`: 14 for Qwen2.5-VL |
| `min_pixels`, `max_pixels` | null | the processor's limits, for `box_space=processed` |

Every space but `pixels` needs `orig_w` and `orig_h` in `extra_info`. How boxes are read: `reward_fns.boxes`. A gold
that cannot be parsed or has no area earns nothing, whatever the response: `status` says `bad_gold`.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from collections.abc import Mapping
from typing import Any

from reward_fns import boxes
from reward_fns.forms import FORMS
from reward_fns.settings import KEY, choose, never_raises, remembered, settle, within

_COMMON = {
    "iou_threshold": None,
    "extra_box_penalty": 1.0,
    "box_space": "pixels",
    "patch_size": None,
    "merge_size": 2,
    "min_pixels": None,
    "max_pixels": None,
}
PRESETS = {
    "ecvgpo": {"format_weight": 0.5, "form": "answer", **_COMMON},
    "vlm_r1": {"format_weight": 1.0, "form": "think_answer", **_COMMON},
}


@never_raises(lambda: _result("error"))
def compute_score(data_source, solution_str, ground_truth, extra_info=None, *, preset="ecvgpo", **kwargs) -> dict:
    """Score one response; never raises.

    Args:
        data_source: name of the data set; unused, part of verl's signature.
        solution_str: decoded response text.
        ground_truth: JSON string of xyxy boxes in original pixels: one box, a list of boxes, or [] for no object.
        extra_info: the row's `extra_info`; `orig_w` and `orig_h` in pixels are read where the space needs them.
        preset: a name of PRESETS.
        **kwargs: settings that override the preset's.

    Returns:
        Always the keys `score` in [0, 1 + format_weight], `accuracy` (1.0 if IoU > 0.5), `format` (0.0 or 1.0),
        `iou` in [0, 1] and `status`, one of ok / no_answer / bad_format / bad_gold / error. A setting that is wrong
        is an `error` of every response, and one message in the log.
    """
    settings = settings_of(preset, **kwargs)
    _, is_well_formed = FORMS[settings["form"]]
    gold = boxes.parse_gold(ground_truth)
    if gold is None:
        return _result("bad_gold")
    predicted = _read(solution_str, extra_info, settings)
    if isinstance(predicted, str):
        return _result(predicted)
    overlap = boxes.mean_iou(predicted, gold, settings["extra_box_penalty"])
    threshold = settings["iou_threshold"]
    quality = overlap if threshold is None else float(overlap > threshold)
    if not is_well_formed(solution_str):
        return _result("bad_format", quality, overlap)
    return _result("ok", quality + settings["format_weight"], overlap, is_well_formed=True)


@remembered
def settings_of(preset="ecvgpo", **kwargs) -> dict[str, Any]:
    """The settings of a call: the preset's, overridden.

    Raises:
        ValueError: a setting that does not exist, or a value that it cannot have.
    """
    settings = settle(PRESETS, preset, kwargs)
    choose("form", settings["form"], FORMS)
    for name in ("format_weight", "extra_box_penalty"):
        within(name, settings[name], 0)
    if settings["iou_threshold"] is not None:
        within("iou_threshold", settings["iou_threshold"], 0)
    choose("box_space", settings["box_space"], boxes.SPACES)
    if settings["box_space"] == "processed" and not settings["patch_size"]:
        raise ValueError(
            "patch_size: got none, expected the patch size of the model's processor, which box_space=processed needs; "
            f"set {KEY}.patch_size"
        )
    return settings


def find_boxes(solution_str, extra_info=None, *, preset="ecvgpo", **kwargs) -> list[boxes.Box] | None:
    """The boxes that `compute_score` compares with the gold, in original pixels; None where it reads none.

    Raises:
        ValueError: a setting is wrong, or the row lacks what the box space needs.
    """
    found = _read(solution_str, extra_info, settings_of(preset, **kwargs))
    return None if isinstance(found, str) else found


def _read(
    solution_str: str, extra_info: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> list[boxes.Box] | str:
    """The boxes of a response in original pixels, or the status of a response without."""
    find_answer, _ = FORMS[settings["form"]]
    answer = find_answer(solution_str)
    if answer is None:
        return "no_answer"
    predicted = boxes.parse_boxes(answer)
    if predicted is None:
        return "bad_format"
    across, down = _pixels_per_unit(settings, extra_info)
    return [boxes.scale(box, across, down) for box in predicted]


def _pixels_per_unit(settings: Mapping[str, Any], extra_info: Mapping[str, Any] | None) -> tuple[float, float]:
    """Original pixels per unit of the model's space, across and down."""
    space = settings["box_space"]
    side = boxes.SPACES[space]
    if space == "pixels":
        return 1.0, 1.0
    info = extra_info or {}
    width, height = info.get("orig_w"), info.get("orig_h")
    if not width or not height:
        raise ValueError(
            f"extra_info: got orig_w={width}, orig_h={height}, expected the size of the original image in pixels, "
            f"which box_space={space} needs; set both in the data, or reward_kwargs.box_space=pixels"
        )
    if side is not None:
        return width / side, height / side
    factor = int(settings["patch_size"]) * int(settings["merge_size"])
    rows, columns = boxes.smart_resize(height, width, factor, settings["min_pixels"], settings["max_pixels"])
    return width / columns, height / rows


def _result(status: str, score: float = 0.0, overlap: float = 0.0, *, is_well_formed: bool = False) -> dict:
    return {
        "score": score,
        "accuracy": float(overlap > 0.5),
        "format": float(is_well_formed),
        "iou": overlap,
        "status": status,
    }
