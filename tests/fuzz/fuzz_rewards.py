"""Fuzzes the rewards, guided by coverage: no exception, fixed keys, scores within bounds.

    pip install atheris
    python tests/fuzz/fuzz_rewards.py -runs=1000000 [-max_len=400] [-seed=1]

A run that finds a failure ends with a traceback and writes the input to crash-*; otherwise it prints the number of
inputs. Algebra is replaced by a random outcome, because its processes have their own tests.
"""

import json
import sys

import atheris

with atheris.instrument_imports(include=["reward_fns"]):
    from reward_fns import algebra, auto, forms
    from reward_fns.boxes import overlap, reading, spaces

OUTCOMES = ("equal", "different", "bad_gold", "timeout", "error")
SOURCES = ("refcoco", "mmk12", "shapes_reasoning", "unknown")
SPACES = (*spaces.SPACES, "nonsense")
STATUSES = {"ok", "no_answer", "bad_format", "bad_gold", "timeout", "error"}
TEMPLATES = ("{}", "<answer>{}</answer>", "<think>a</think><answer>{}</answer>", "<think>a</think>\\boxed{{{}}}")


def one_input(data: bytes) -> None:
    draw = atheris.FuzzedDataProvider(data)
    source, form, space = (draw.PickValueInList(list(options)) for options in (SOURCES, forms.FORMS, SPACES))
    weight = draw.ConsumeFloatInRange(0.0, 2.0)
    size = {"orig_w": draw.ConsumeIntInRange(-1, 5000), "orig_h": draw.ConsumeIntInRange(-1, 5000)}
    outcome = draw.PickValueInList(list(OUTCOMES))
    algebra.compare = lambda *_: (outcome, 0.0)
    template = draw.PickValueInList(list(TEMPLATES))
    gold = draw.ConsumeUnicodeNoSurrogates(draw.ConsumeIntInRange(0, 60))
    match_labels = draw.ConsumeBool()
    if draw.ConsumeBool():
        box = [draw.ConsumeIntInRange(-9, 999) for _ in range(4)]
        gold = json.dumps({"bbox_2d": box, "label": "a"} if match_labels else box)
    settings = {
        "grounding": {
            "format_weight": weight,
            "form": form,
            "box_space": space,
            "patch_size": 14,
            "overlap": draw.PickValueInList(list(overlap.MEASURES)),
            "match_labels": match_labels,
        },
        "math": {"accuracy_weight": 1.0, "format_weight": weight, "form": form},
    }
    response = template.format(draw.ConsumeUnicode(sys.maxsize))
    result = auto.compute_score(source, response, gold, {**size, "choices": ["1", "2"]}, **settings)
    assert list(result) == ["score", "accuracy", "format", "iou", "status"], result
    assert 0.0 <= result["score"] <= 1.0 + weight, result
    assert 0.0 <= result["iou"] <= 1.0, result
    assert result["status"] in STATUSES, result
    parsed = reading.parse_boxes(response) or []
    for a, b in zip(parsed, parsed[1:], strict=False):
        for measure in overlap.MEASURES.values():
            assert measure(a, b) == measure(b, a) and 0.0 <= measure(a, b) <= 1.0


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
