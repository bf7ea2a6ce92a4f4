"""The maths reward: answers as models write them, every status, fixed keys, properties on arbitrary input."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_cases_math import BAD_GOLDS, CHOICES_GIVEN, GIVEN, TABLES

from reward_fns import algebra, math
from reward_fns.settings import reported

KEYS = ["score", "accuracy", "format", "status"]
CASES = [(name, *case) for name, cases in TABLES.items() for case in cases]


def boxed(answer, gold="12", **kwargs):
    return math.compute_score("mmk12", f"<think>so</think> \\boxed{{{answer}}}", gold, **kwargs)


def tagged(answer, gold="12", **kwargs):
    response = f"<think>so</think>\n<answer>{answer}</answer>"
    return math.compute_score("mmk12", response, gold, preset="mm_eureka", **kwargs)


@pytest.fixture
def patient(monkeypatch):
    """Give all presets a long time limit, so that a busy machine does not turn a right answer into a timeout."""
    for preset in math.PRESETS.values():
        monkeypatch.setitem(preset, "timeout_s", 60.0)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: f"{CASES[number][0]}-{number}")
def test_answers_as_they_are_written(number):
    _, gold, answer, is_right = CASES[number]
    result = tagged(answer, gold)
    assert list(result) == KEYS
    assert [type(result[key]) for key in KEYS] == [float, float, float, str]
    assert result["accuracy"] == float(is_right)
    assert result["status"] == ("ok" if answer else "no_answer")
    assert result["score"] == is_right + 0.5 * bool(answer)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("number", range(len(CHOICES_GIVEN)))
def test_choices_by_letter_and_by_value(number):
    gold, answer, is_right = CHOICES_GIVEN[number]
    assert tagged(answer, gold, extra_info={"choices": GIVEN})["accuracy"] == float(is_right)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("gold", [*BAD_GOLDS, None, 12, [], [12], b"12"])
def test_a_gold_that_cannot_be_read_earns_nothing(gold):
    for answer in (gold, "12x"):
        result = boxed(answer, gold) if str(gold).count("{") == str(gold).count("}") else tagged(answer, gold)
        assert result["score"] == result["accuracy"] == result["format"] == 0.0
        assert result["status"] in (("bad_gold", "no_answer") if answer == gold else ("bad_gold",))


def test_a_letter_beyond_the_choices_is_a_bad_gold():
    assert boxed("E", "E", extra_info={"choices": GIVEN})["status"] == "bad_gold"
    assert boxed("D", "D", extra_info={"choices": GIVEN})["status"] == "ok"


# (response, score of vepo, score of mm_eureka, statuses)
@pytest.mark.parametrize(
    ("response", "vepo", "mm_eureka", "statuses"),
    [
        ("<think>so</think> \\boxed{12}", 1.0, 0.0, ("ok", "no_answer")),
        ("<think>so</think> \\boxed{13}", 0.1, 0.0, ("ok", "no_answer")),
        ("\\boxed{12}", 0.9, 0.0, ("bad_format", "no_answer")),
        ("\\boxed{13}", 0.0, 0.0, ("bad_format", "no_answer")),
        ("<think>so</think> \\boxed{11} \\boxed{12}", 0.9, 0.0, ("bad_format", "no_answer")),
        ("<think>so</think><answer>12</answer>", 0.0, 1.5, ("no_answer", "ok")),
        ("<think>so</think><answer>13</answer>", 0.0, 0.5, ("no_answer", "ok")),
        ("<answer>12</answer>", 0.0, 1.0, ("no_answer", "bad_format")),
        ("<think>so</think><answer>\\boxed{12}</answer>", 1.0, 1.5, ("ok", "ok")),
        ("<think>so</think> \\boxed{}", 0.0, 0.0, ("no_answer", "no_answer")),
        ("<think>so</think><answer> </answer>", 0.0, 0.0, ("no_answer", "no_answer")),
        ("12", 0.0, 0.0, ("no_answer", "no_answer")),
        ("", 0.0, 0.0, ("no_answer", "no_answer")),
        (None, 0.0, 0.0, ("error", "error")),
    ],
)
def test_presets(response, vepo, mm_eureka, statuses):
    results = [math.compute_score("mmk12", response, "12", preset=name) for name in ("vepo", "mm_eureka")]
    assert [result["score"] for result in results] == pytest.approx([vepo, mm_eureka])
    assert tuple(result["status"] for result in results) == statuses


def test_settings_override_the_preset():
    assert boxed("12", accuracy_weight=2.0, format_weight=0.25)["score"] == 2.25
    assert math.compute_score("x", "It is \\boxed{12}", "12", form="boxed")["status"] == "ok"
    assert math.compute_score("x", "<think>so</think> The answer is 12.", "12", form="free")["accuracy"] == 1.0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"preset": "veppo"}, "mm_eureka"),
        ({"form": "box"}, "think_boxed"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"timeout_s": None}, "timeout_s"),
        ({"accuracy_weight": "1"}, "accuracy_weight"),
        ({"format_weight": float("inf")}, "format_weight"),
        ({"weight": 1}, "accuracy_weight"),
    ],
)
def test_a_wrong_setting_is_an_error_and_one_message_that_names_it(wrong, named, caplog):
    reported.clear()
    assert [boxed("12", **wrong)["status"] for _ in range(3)] == ["error"] * 3
    assert len(caplog.records) == 1
    assert named in caplog.text and "set reward.custom_reward_function.reward_kwargs" in caplog.text


@pytest.mark.parametrize("outcome", ["timeout", "error"])
def test_algebra_that_does_not_end_earns_the_form_alone(outcome, monkeypatch):
    monkeypatch.setattr(algebra, "compare", lambda *_: (outcome, 0.1))
    result = boxed("x+1", "1+x")
    assert result == {"score": 0.1, "accuracy": 0.0, "format": 1.0, "status": outcome}


def test_all_comparisons_of_an_answer_share_one_limit(monkeypatch):
    limits = []

    def slow(gold, answer, seconds, grader):
        limits.append(seconds)
        return "equal", 0.75

    monkeypatch.setattr(algebra, "compare", slow)
    assert boxed("a+1, a+2, a+3, a+4", "a+5, a+6, a+7, a+8", timeout_s=2)["status"] == "timeout"
    assert limits == [2, 1.25, 0.5]


def test_what_needs_no_algebra_starts_no_process(monkeypatch):
    monkeypatch.setattr(algebra, "compare", lambda *_: pytest.fail("a process was asked"))
    for gold, answer in (("12", "12.0"), ("\\frac{1}{2}", "0.5"), ("A", "(a)"), ("red", "blue"), ("12 cm", "12")):
        assert boxed(answer, gold)["status"] == "ok"


fragments = st.sampled_from(
    ["<think>", "</think>", "<answer>", "</answer>", "\\boxed{", "{", "}", "$", "\\frac", "\\sqrt", "\\text{", "^", "_"]
    + [
        "1",
        "-2.5",
        ",",
        ";",
        "(",
        ")",
        "=",
        "x",
        "A",
        " cm",
        "%",
        " and ",
        "(1)",
        "(2)",
        "\\",
        "/",
        "²",
        "٣",
        "π",
        "\n",
    ]
)
texts = st.text() | st.lists(fragments, max_size=30).map("".join)
answers = texts.map("<think>so</think> \\boxed{{{}}}".format)
anything = st.none() | st.integers() | st.binary() | st.lists(st.integers())


@settings(deadline=None)
@given(
    response=texts | answers | anything,
    gold=texts | anything,
    choices=st.none() | st.lists(texts, max_size=4) | st.integers(),
    weights=st.tuples(st.floats(0, 2), st.floats(0, 2)),
    form=st.sampled_from(["answer", "think_answer", "boxed", "think_boxed", "free"]),
    outcome=st.sampled_from(["equal", "different", "bad_gold", "timeout", "error"]),
)
def test_never_raises_and_stays_in_range(response, gold, choices, weights, form, outcome):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algebra, "compare", lambda *_: (outcome, 0.0))  # tested by itself, with the real processes
        result = math.compute_score(
            "mmk12",
            response,
            gold,
            {"choices": choices},
            accuracy_weight=weights[0],
            format_weight=weights[1],
            form=form,
        )
    assert list(result) == KEYS
    assert 0.0 <= result["score"] <= sum(weights)
    assert result["accuracy"] in (0.0, 1.0) and result["format"] in (0.0, 1.0)
    assert result["status"] in ("ok", "no_answer", "bad_format", "bad_gold", "timeout", "error")


numbers = st.fractions(max_denominator=50).filter(lambda value: abs(value) < 1000)


@given(value=numbers, other=numbers)
def test_fractions_are_equal_when_they_are(value, other):
    gold = f"\\frac{{{value.numerator}}}{{{value.denominator}}}".replace("{-", "{-")
    if value < 0:
        gold = "-" + gold.replace("{-", "{")
    assert boxed(f"{value.numerator}/{value.denominator}", gold)["accuracy"] == 1.0
    assert boxed(f"{other.numerator}/{other.denominator}", gold)["accuracy"] == float(value == other)
