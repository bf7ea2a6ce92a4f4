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
    from reward_fns import algebra, auto, boxes, forms

OUTCOMES = ("equal", "different", "bad_gold", "timeout", "error")
SOURCES = ("refcoco", "mmk12", "shapes_reasoning", "unknown")
SPACES = (*boxes.SPACES, "nonsense")
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
    if draw.ConsumeBool():
        gold = json.dumps([draw.ConsumeIntInRange(-9, 999) for _ in range(4)])
    response = template.format(draw.ConsumeUnicode(sys.maxsize))
    settings = {
        "grounding": {"format_weight": weight, "form": form, "box_space": space, "patch_size": 14},
        "math": {"accuracy_weight": 1.0, "format_weight": weight, "form": form},
    }
    result = auto.compute_score(source, response, gold, {**size, "choices": ["1", "2"]}, **settings)
    assert list(result) == ["score", "accuracy", "format", "iou", "status"], result
    assert 0.0 <= result["score"] <= 1.0 + weight, result
    assert 0.0 <= result["iou"] <= 1.0, result
    assert result["status"] in STATUSES, result
    parsed = boxes.parse_boxes(response) or []
    for a, b in zip(parsed, parsed[1:], strict=False):
        assert boxes.iou(a, b) == boxes.iou(b, a) and 0.0 <= boxes.iou(a, b) <= 1.0


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
