"""The forms of a response: when each is well-formed, and where it has its answer."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_fns.forms import FORMS, boxed, maths_answer

T, A, B = "<think>so</think>", "<answer>7</answer>", "\\boxed{7}"

# response to the forms that it keeps; every response but the empty ones keeps `free`
KEPT = {
    A: {"answer"},
    T + A: {"answer", "think_answer"},
    f" {T}\n{A}\n": {"answer", "think_answer"},
    T + " hence " + A: {"answer"},
    "well, " + T + A: {"answer"},
    T + A + " done": {"answer"},
    A + T: set(),
    A + A: set(),
    T + A + A: set(),
    "<answer>" + A: set(),
    A + "</answer>": set(),
    "</answer>7<answer>": set(),
    "<answer>7": set(),
    "<think><think>so</think>" + A: {"answer"},
    "<think>so" + A: set(),
    "<think></think><answer></answer>": {"answer", "think_answer"},
    B: {"boxed"},
    "so " + B + ".": {"boxed"},
    T + B: {"boxed", "think_boxed"},
    f"\n{T} The answer is {B}.": {"boxed", "think_boxed"},
    "so " + T + B: {"boxed"},
    B + T: set(),
    "<think>\\boxed{7}</think>": set(),
    "<think>\\boxed{</think>" + B: set(),
    "so</think>" + B: {"boxed"},
    "<think>\\boxed{7}</think>" + B: set(),
    T + B + B: set(),
    T + T + B: {"boxed"},
    T + "\\boxed{\\frac{1}{2}}": {"boxed", "think_boxed"},
    T + "\\boxed{7": set(),
    T + "\\boxed {7}": {"boxed", "think_boxed"},
    T + "\\boxed 7": {"boxed", "think_boxed"},
    T + "\\fbox{7}": {"boxed", "think_boxed"},
    T + "\\boxed{\\boxed{7}}": {"boxed", "think_boxed"},
    T + B + "\\boxed{7": set(),
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
        ("<answer>1</answer><answer>2", None, None, None),
        ("<answer>1</answer></answer>", "1", None, "1"),
        ("<answer>1</answer>" + T, None, None, None),
        ("<answer>1<answer>2</answer>", "1<answer>2", None, "1<answer>2"),
        (B, None, "7", "7"),
        ("\\boxed{1} or \\boxed{2}", None, "2", "2"),
        ("\\boxed{1} or \\boxed{2", None, None, None),
        ("\\boxed{1} or \\boxed", None, None, None),
        ("<think>\\boxed{1}</think> 2", None, None, "2"),
        ("<think>\\boxed{1}</think> \\boxed{2}", None, "2", "2"),
        ("1?</think> \\boxed{2}", None, "2", "2"),
        ("\\boxed{\\frac{1}{2}}", None, "\\frac{1}{2}", "\\frac{1}{2}"),
        ("\\boxed{\\{1, 2\\}}", None, "\\{1, 2\\}", "\\{1, 2\\}"),
        ("\\boxed{a \\} b}", None, "a \\} b", "a \\} b"),
        ("{ \\boxed{7}", None, "7", "7"),
        ("} \\boxed{7}", None, "7", "7"),
        ("\\boxed{}", None, "", ""),
        ("\\boxed 7", None, "7", "7"),
        ("$\\boxed\\frac{1}{2}$.", None, "\\frac{1}{2}", "\\frac{1}{2}"),
        ("{\\boxed 7}", None, "7", "7"),
        ("\\boxed answers", None, None, "\\boxed answers"),
        ("\\boxeds{7}", None, None, "\\boxeds{7}"),
        ("\\fbox{7}", None, "7", "7"),
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


def test_a_box_in_a_box_is_part_of_its_text():
    assert boxed("\\boxed{1 + \\boxed{2}} \\boxed{3}") == ["1 + \\boxed{2}", "3"]
    assert boxed("\\boxed{1 + \\boxed{2}") == [None]


@pytest.mark.parametrize("form", ["answer", "think_answer", "free"])
def test_in_maths_a_box_in_an_answer_block_is_the_answer(form):
    assert maths_answer(T + "<answer>so \\boxed{6} and \\fbox{7}.</answer>", form) == "7"
    assert maths_answer(T + "<answer>so \\boxed{7</answer>", form) is None
    assert maths_answer(T + A, form) == "7"
    assert maths_answer(T, form) is None


def test_in_maths_a_box_keeps_the_box_in_it():
    assert maths_answer("\\boxed{1 + \\boxed{2}}", "boxed") == "1 + \\boxed{2}"


pieces = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "\\boxed ", "\\", "{", "}", "7", " ", "\\}"]
)


@settings(deadline=None)
@given(text=st.text() | st.lists(pieces, max_size=30).map("".join))
def test_what_keeps_a_form_has_an_answer_in_it(text):
    for name, (find, keeps) in FORMS.items():
        if name != "free" and keeps(text):
            assert find(text) is not None
        assert find(text) is None or find(text) in text


def test_long_responses_are_read_once():
    pieces = (
        "\\boxed{",
        "\\boxed",
        "\\boxed ",
        "\\boxed (",
        "\\boxed 1{",
        "\\boxed{1}",
        "<answer>",
        "<think>",
        "{",
        "\\",
    )
    for text in ("\\boxed" + " " * 100_000, *(piece * (100_000 // len(piece)) for piece in pieces)):
        for find, keeps in FORMS.values():
            find(text)
            keeps(text)
