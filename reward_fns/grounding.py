"""Visual grounding reward: overlap of the predicted with the true boxes, plus a bonus for a well-formed answer.

    score = IoU + format_weight * format

Use: `reward.custom_reward_function.path=reward_fns/grounding.py`; settings are `...reward_kwargs.<name>=<value>`.

| preset | format_weight | form | source |
|---|---|---|---|
| `ecvgpo` (default) | 0.5 | `answer` | ECVGPO, arXiv 2512.06726 |
| `vlm_r1` | 1.0 | `think_answer` | VLM-R1, arXiv 2504.07615 |

| setting | default | meaning |
|---|---|---|
| `form` | the preset's | a form of `reward_fns.forms`; `format` is 1 if the response has it and answers with boxes |
| `iou_threshold` | null | null: the score is the IoU; a number: the score is 1 above it, else 0 |
| `extra_box_penalty` | 1 | 1: a superfluous box lowers the IoU as much as a missed one; 0: it does not |
| `box_space` | pixels | space of the model's boxes, a key of `reward_fns.boxes.SPACES`; gold boxes are in `pixels` |
| `patch_size`, `merge_size` | null, 2 | sizes of the processor, for `box_space=processed`: 14, 2 for Qwen2.5-VL |
| `min_pixels`, `max_pixels` | null | limits of the processor, for `box_space=processed` |

Every space but `pixels` needs `orig_w` and `orig_h` in `extra_info`. `reward_fns.boxes` says how boxes are read. If the
gold box cannot be parsed or has no area, the score is 0 and the status `bad_gold`, whatever the response.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from collections.abc import Mapping
from typing import Any

from reward_fns import boxes
from reward_fns.forms import FORMS
from reward_fns.settings import KEY, cache_settings, choose, never_raises, settle, within

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
        solution_str: text of the response.
        ground_truth: JSON text of xyxy boxes in original pixels: one box, a list of boxes, or [] for no object.
        extra_info: the `extra_info` of the row; `orig_w` and `orig_h`, in pixels, are read if `box_space` needs them.
        preset: a key of PRESETS.
        **kwargs: settings that override the preset's.

    Returns:
        Always the keys `score` in [0, 1 + format_weight], `accuracy` (1.0 if IoU > 0.5), `format` (0.0 or 1.0),
        `iou` in [0, 1] and `status`, one of ok / no_answer / bad_format / bad_gold / error. If a setting is wrong,
        every status is `error`, and one message in the log says which setting.
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


@cache_settings
def settings_of(preset="ecvgpo", **kwargs) -> dict[str, Any]:
    """Return the checked settings of a call: those of the preset, overridden.

    Raises:
        ValueError: a setting does not exist, or a value is not allowed.
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
    """Return the boxes that `compute_score` compares with the gold, in original pixels; None if it reads none.

    Raises:
        ValueError: a setting is wrong, or `extra_info` lacks a size that `box_space` needs.
    """
    result = _read(solution_str, extra_info, settings_of(preset, **kwargs))
    return None if isinstance(result, str) else result


def _read(
    solution_str: str, extra_info: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> list[boxes.Box] | str:
    """Return the boxes of a response in original pixels, or the status of a response without boxes."""
    find_answer, _ = FORMS[settings["form"]]
    answer = find_answer(solution_str)
    if answer is None:
        return "no_answer"
    predicted = boxes.parse_boxes(answer)
    if predicted is None:
        return "bad_format"
    x_factor, y_factor = _pixels_per_unit(settings, extra_info)
    return [boxes.scale(box, x_factor, y_factor) for box in predicted]


def _pixels_per_unit(settings: Mapping[str, Any], extra_info: Mapping[str, Any] | None) -> tuple[float, float]:
    """Return original pixels per unit of the model's coordinates, for x and for y."""
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
