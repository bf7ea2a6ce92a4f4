"""Visual grounding reward: overlap of the predicted with the true boxes, plus a bonus for a well-formed answer.

    score = overlap + format_weight * format

Use: `reward.custom_reward_function.path=reward_fns/grounding.py`; settings are `...reward_kwargs.<name>=<value>`.

| preset | format_weight | form | source |
|---|---|---|---|
| `ecvgpo` (default) | 0.5 | `answer` | ECVGPO, arXiv 2512.06726 |
| `vlm_r1` | 1.0 | `think_answer` | VLM-R1, arXiv 2504.07615 |

| setting | default | meaning |
|---|---|---|
| `form` | the preset's | a form of `reward_fns.forms`; `format` is 1 if the response has it and answers with boxes |
| `overlap` | iou | `giou`: (1 + GIoU) / 2 instead of the IoU, which tells near misses from far ones |
| `iou_threshold` | null | a number: the score is 1 above this IoU, else 0; a list: the mean of that over its numbers |
| `match_labels` | false | true: two boxes match only if their `label`s are the same; every gold box needs one |
| `extra_box_penalty` | 1 | 1: a superfluous box lowers the IoU as much as a missed one; 0: it does not |
| `box_space` | pixels | space of the model's boxes, a key of `boxes.spaces.SPACES`; gold boxes are in `pixels` |
| `patch_size`, `merge_size` | null, 2 | sizes of the processor, for `box_space=processed`: 14, 2 for Qwen2.5-VL |
| `min_pixels`, `max_pixels` | null | limits of the processor, for `box_space=processed` |

Every space but `pixels` needs `orig_w` and `orig_h` in `extra_info`. `reward_fns.boxes` says how boxes are read. If the
gold box cannot be parsed or has no area, the score is 0 and the status `bad_gold`, whatever the response. `iou` and
`accuracy` are those of the plain IoU, whatever the settings of the score. "No object" counts as boxes for `format` only
where there is none. `reward_fns.shaping` has further settings, off by default.

verl loads this file without entering it in `sys.modules`, so it must not define dataclasses.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from reward_fns import shaping
from reward_fns.boxes.box import Box, LabelledBox, scale
from reward_fns.boxes.overlap import MEASURES, if_labels_match, iou, mean_overlap
from reward_fns.boxes.reading import labelled_boxes, labelled_gold
from reward_fns.boxes.spaces import SPACES, area_limits, pixels_per_unit
from reward_fns.forms import FORMS
from reward_fns.settings import KEY, cache_settings, choose, never_raises, settle, within

_COMMON = {
    "overlap": "iou",
    "iou_threshold": None,
    "match_labels": False,
    "extra_box_penalty": 1.0,
    "box_space": "pixels",
    "patch_size": None,
    "merge_size": 2,
    "min_pixels": None,
    "max_pixels": None,
    **shaping.DEFAULTS,
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
        ground_truth: JSON text of xyxy boxes in original pixels: one box, a list of boxes, or [] for no object; with
            `match_labels`, objects {"bbox_2d": [x1, y1, x2, y2], "label": "dog"}.
        extra_info: the `extra_info` of the row; `orig_w` and `orig_h`, in pixels, are read if `box_space` needs them.
        preset: a key of PRESETS.
        **kwargs: settings that override the preset's.

    Returns:
        Always the keys `score` (in [0, 1 + format_weight], unless it is shaped), `accuracy` (1.0 if IoU > 0.5),
        `format` (0.0 or 1.0), `iou` in [0, 1] and `status`, one of ok / no_answer / bad_format / bad_gold / error. If a
        setting is wrong, every status is `error`, and one message in the log says which setting.
    """
    settings = settings_of(preset, **kwargs)
    _, is_formed = FORMS[settings["form"]]
    gold = labelled_gold(ground_truth)
    if gold is None or (settings["match_labels"] and any(label is None for _, label in gold)):
        return _result("bad_gold")
    predicted = _read(solution_str, extra_info, settings)
    if isinstance(predicted, str):
        return _result(predicted, _score(solution_str, 0.0, False, settings))
    plain_iou = mean_overlap(_without_labels(predicted), _without_labels(gold), settings["extra_box_penalty"], iou)
    quality = _quality(predicted, gold, plain_iou, settings)
    is_well_formed = is_formed(solution_str) and (bool(predicted) or not gold)
    status = "ok" if is_well_formed else "bad_format"
    return _result(status, _score(solution_str, quality, is_well_formed, settings), plain_iou, is_well_formed)


@cache_settings
def settings_of(preset="ecvgpo", **kwargs) -> dict[str, Any]:
    """Return the checked settings of a call: those of the preset, overridden; `iou_threshold` is a tuple or None.

    Raises:
        ValueError: a setting does not exist, or a value is not allowed.
    """
    settings = settle(PRESETS, preset, kwargs)
    choose("form", settings["form"], FORMS)
    for name in ("format_weight", "extra_box_penalty"):
        within(name, settings[name], 0)
    choose("overlap", settings["overlap"], MEASURES)
    settings["iou_threshold"] = _thresholds(settings["iou_threshold"])
    if settings["iou_threshold"] is not None and settings["overlap"] != "iou":
        raise ValueError(
            f"iou_threshold: got it beside overlap={settings['overlap']}, expected one of the two, since the score "
            f"would be that of the threshold alone; set {KEY}.iou_threshold=null or {KEY}.overlap=iou"
        )
    if not isinstance(settings["match_labels"], bool):
        raise ValueError(
            f"match_labels: got {settings['match_labels']!r}, expected true or false; set {KEY}.match_labels"
        )
    choose("box_space", settings["box_space"], SPACES)
    _check_processor(settings)
    shaping.check_shaping(settings)
    return settings


def find_boxes(solution_str, extra_info=None, *, preset="ecvgpo", **kwargs) -> list[Box] | None:
    """Return the boxes that `compute_score` compares with the gold, in original pixels; None if it reads none.

    Raises:
        ValueError: a setting is wrong, or `extra_info` lacks a size that `box_space` needs.
    """
    result = _read(solution_str, extra_info, settings_of(preset, **kwargs))
    return None if isinstance(result, str) else _without_labels(result)


def _thresholds(value: object) -> tuple[float, ...] | None:
    if value is None:
        return None
    numbers = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    if not numbers:
        raise ValueError(f"iou_threshold: got an empty list, expected numbers or null; set {KEY}.iou_threshold")
    return tuple(within("iou_threshold", number, 0, 1) for number in numbers)


def _check_processor(settings: Mapping[str, Any]) -> None:
    for name in ("patch_size", "merge_size", "min_pixels", "max_pixels"):
        if settings[name] is not None:
            within(name, settings[name], 1)
    if settings["box_space"] != "processed":
        return
    if not settings["patch_size"]:
        raise ValueError(
            "patch_size: got none, expected the patch size of the model's processor, which box_space=processed needs; "
            f"set {KEY}.patch_size"
        )
    least, most = area_limits(_factor(settings), settings["min_pixels"], settings["max_pixels"])
    if least > most:
        raise ValueError(
            f"min_pixels: got {least}, expected at most max_pixels, which is {most}; set {KEY}.min_pixels "
            "and max_pixels to those of the processor"
        )


def _factor(settings: Mapping[str, Any]) -> int:
    return int(settings["patch_size"]) * int(settings["merge_size"])


def _read(
    solution_str: str, extra_info: Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> list[LabelledBox] | str:
    """Return the boxes of a response in original pixels, or the status of a response without boxes."""
    find_answer, _ = FORMS[settings["form"]]
    answer = find_answer(solution_str)
    if answer is None:
        return "no_answer"
    predicted = labelled_boxes(answer)
    if predicted is None:
        return "bad_format"
    space = settings["box_space"]
    if space == "pixels":
        return predicted
    factor = _factor(settings) if space == "processed" else None
    x_factor, y_factor = pixels_per_unit(space, extra_info, factor, settings["min_pixels"], settings["max_pixels"])
    return [(scale(box, x_factor, y_factor), label) for box, label in predicted]


def _quality(
    predicted: Sequence[LabelledBox], gold: Sequence[LabelledBox], plain_iou: float, settings: Mapping[str, Any]
) -> float:
    """Return the part of the score that the boxes earn, in [0, 1]; `plain_iou` is their mean IoU without labels."""
    measure, penalty = MEASURES[settings["overlap"]], settings["extra_box_penalty"]
    if settings["match_labels"]:
        overlap = mean_overlap(predicted, gold, penalty, if_labels_match(measure))
    elif measure is iou:
        overlap = plain_iou
    else:
        overlap = mean_overlap(_without_labels(predicted), _without_labels(gold), penalty, measure)
    thresholds = settings["iou_threshold"]
    return overlap if thresholds is None else sum(overlap > each for each in thresholds) / len(thresholds)


def _score(response: str, quality: float, is_well_formed: bool, settings: Mapping[str, Any]) -> float:
    accuracy = shaping.accuracy_term(quality, is_well_formed, response, settings)
    return accuracy + settings["format_weight"] * is_well_formed - shaping.repetition_penalty(response, settings)


def _without_labels(boxes: Sequence[LabelledBox]) -> list[Box]:
    return [box for box, _ in boxes]


def _result(status: str, score: float = 0.0, overlap: float = 0.0, is_well_formed: bool = False) -> dict:
    return {
        "score": score,
        "accuracy": float(overlap > 0.5),
        "format": float(is_well_formed),
        "iou": overlap,
        "status": status,
    }
