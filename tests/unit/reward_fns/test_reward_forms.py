"""The forms of a response: when each is well-formed, and where it has its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reward_fns.forms import FORMS, boxed

T, A, B = "<think>so</think>", "<answer>7</answer>", "\\boxed{7}"

# response to the forms that it keeps; every response but the empty ones keeps `free`
KEPT = {
    A: {"answer"},
    T + A: {"answer", "think_answer"},
    f" {T}\n{A}\n": {"answer", "think_answer"},
    T + " hence " + A: {"answer"},
    "well, " + T + A: {"answer"},
    T + A + " done": {"answer"},
    A + T: {"answer"},
    A + A: set(),
    T + A + A: set(),
    "<answer>" + A: set(),
    A + "</answer>": set(),
    "</answer>7<answer>": set(),
    "<answer>7": set(),
    "<think><think>so</think>" + A: {"answer"},
    "<think>so" + A: {"answer"},
    "<think></think><answer></answer>": {"answer", "think_answer"},
    B: {"boxed"},
    "so " + B + ".": {"boxed"},
    T + B: {"boxed", "think_boxed"},
    f"\n{T} The answer is {B}.": {"boxed", "think_boxed"},
    "so " + T + B: {"boxed"},
    B + T: {"boxed"},
    "<think>\\boxed{7}</think>": {"boxed"},
    "<think>\\boxed{7}</think>" + B: set(),
    T + B + B: set(),
    T + T + B: {"boxed"},
    T + "\\boxed{\\frac{1}{2}}": {"boxed", "think_boxed"},
    T + "\\boxed{7": set(),
    T + "\\boxed {7}": {"boxed", "think_boxed"},
    T + "<answer>\\boxed{7}</answer>": {"answer", "think_answer", "boxed", "think_boxed"},
    T + "7": set(),
    "": set(),
}


@pytest.mark.parametrize("response", KEPT)
def test_which_forms_a_response_keeps(response):
    kept = {name for name, (_, rule) in FORMS.items() if rule(response)}
    assert kept == KEPT[response] | {"free"}


@pytest.mark.parametrize(
    ("response", "answer", "box", "free"),
    [
        (A, "7", None, "7"),
        (T + A, "7", None, "7"),
        ("<answer>1</answer><answer>2</answer>", "2", None, "2"),
        ("<answer>1</answer><answer>2", "1", None, "1"),
        ("<answer>1<answer>2</answer>", "2", None, "2"),
        (B, None, "7", "7"),
        ("\\boxed{1} or \\boxed{2}", None, "2", "2"),
        ("\\boxed{1} or \\boxed{2", None, "1", "1"),
        ("\\boxed{\\frac{1}{2}}", None, "\\frac{1}{2}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", None, "\\{1, 2\\}", "\\{1, 2\\}"),
        ("\\boxed{a \\} b}", None, "a \\} b", "a \\} b"),
        ("{ \\boxed{7}", None, "7", "7"),
        ("} \\boxed{7}", None, "7", "7"),
        ("\\boxed{}", None, "", ""),
        ("\\boxed 7", None, None, "\\boxed 7"),
        ("\\fbox{7}", None, None, "\\fbox{7}"),
        ("<think>7</think> It is 8.", None, None, "It is 8."),
        ("It is 8.", None, None, "It is 8."),
        ("<think>7</think>", None, None, None),
        ("", None, None, None),
    ],
)
def test_where_the_answer_is(response, answer, box, free):
    assert FORMS["answer"][0](response) == answer
    assert FORMS["think_boxed"][0](response) == box
    assert FORMS["free"][0](response) == free


def test_nested_boxes_close_from_inside():
    assert boxed("\\boxed{1 + \\boxed{2}}") == ["2", "1 + \\boxed{2}"]


pieces = st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "\\", "{", "}", "7", " ", "\\}"])


@given(text=st.text() | st.lists(pieces, max_size=30).map("".join))
def test_what_keeps_a_form_has_an_answer_in_it(text):
    for name, (find, keeps) in FORMS.items():
        if name != "free" and keeps(text):
            assert find(text) is not None
        assert find(text) is None or find(text) in text


def test_long_responses_are_read_once():
    for text in ("\\boxed{" * 20_000, "\\boxed" + " " * 100_000, "<answer>" * 20_000, "{" * 100_000, "\\" * 100_000):
        for find, keeps in FORMS.values():
            find(text)
            keeps(text)
