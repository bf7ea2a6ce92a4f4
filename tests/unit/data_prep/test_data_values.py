"""Boxes, texts and answers: each rule, and that no value makes a rule raise."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.row.boxes import EDGE_TOLERANCE, box_json, fit_to_image, parse_box, xyxy_from_xywh
from data_prep.row.prompts import TEMPLATES, prompt_template
from data_prep.row.texts import checkable_answer, choice_text, place_tags, text_of, without_tags
from data_prep.types import Rejection

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CASES_OF_TWO = "\\left\\{\\begin{array}{l}x=1\\\\y=2\\end{array}\\right."
COORDINATE = st.floats(-50, 1100) | st.integers(-50, 1100)


@pytest.mark.parametrize(
    "value", [[1, 2, 3.5, 4], "[1, 2, 3.5, 4]", "<answer>[1, 2, 3.5, 4]</answer>", [[1, 2, 3.5, 4]], "[[1, 2, 3.5, 4]]"]
)
def test_a_box_is_read_from_a_list_and_from_json_in_text(value):
    assert parse_box(value) == (1.0, 2.0, 3.5, 4.0)


@pytest.mark.parametrize("value", [None, [], [1, 2, 3], [1, 2, 3, "4"], [1, 2, 3, True], "1, 2, 3, 4", {"box": 1}, 7])
def test_anything_else_is_no_box(value):
    assert parse_box(value).reason == "box_malformed"


@given(ANYTHING)
def test_parse_box_returns_four_finite_numbers_or_a_reason(value):
    box = parse_box(value)
    assert isinstance(box, Rejection) or (len(box) == 4 and all(map(math.isfinite, box)))


@given(box=st.tuples(*[COORDINATE] * 4), width=st.integers(28, 1000), height=st.integers(28, 1000))
def test_a_fitted_box_lies_inside_and_differs_by_jitter_only(box, width, height):
    fitted = fit_to_image(box, width, height)
    if isinstance(fitted, Rejection):
        return
    x1, y1, x2, y2 = fitted
    assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    ordered = (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
    assert all(abs(a - b) <= EDGE_TOLERANCE + 0.01 for a, b in zip(fitted, ordered, strict=True))
    assert tuple(json.loads(box_json(fitted))) == fitted


def test_jitter_past_an_edge_is_cut_off_and_more_is_rejected():
    assert fit_to_image((-3, -5, 104, 105), 100, 100) == (0, 0, 100, 100)
    assert fit_to_image((-6, 0, 50, 50), 100, 100).reason == "box_outside_image"
    assert fit_to_image((0, 0, 50, 106), 100, 100).reason == "box_outside_image"
    assert fit_to_image((100, 0, 105, 50), 100, 100).reason == "box_without_area"  # nothing of it is inside


def test_a_box_of_the_first_pixel_alone_is_taken_for_a_relative_one():
    assert fit_to_image((0, 0, 1, 1), 100, 100).reason == "box_not_in_pixels"
    assert fit_to_image((0, 0, 2, 1), 100, 100) == (0, 0, 2, 1)


def test_the_published_example_of_a_refer_box():
    # 103.93 + 134.22 = 238.15 and 299.99 + 177.42 = 477.41
    box = fit_to_image(xyxy_from_xywh((103.93, 299.99, 134.22, 177.42)), 640, 480)
    assert box_json(box) == "[103.93, 299.99, 238.15, 477.41]"


@pytest.mark.parametrize(
    ("text", "images", "expected"),
    [
        ("What?", 1, "<image>What?"),
        ("What?", 2, "<image><image>What?"),
        ("A <image> and <image>?", 2, "A <image> and <image>?"),
        ("A <image1> and <image2>, again <image1>", 2, "A <image> and <image>, again image 1"),
        ("<image>Is <image1> a tag?", 1, "<image>Is image 1 a tag?"),
        ("<video> <audio>", 1, "<image>< video> < audio>"),
        ("<image>\nWhat?", 1, "<image>What?"),
        ("<image> <image>\n What?", 2, "<image><image>What?"),
        ("A <image> b", 1, "A <image> b"),
        ("<|image_pad|>x<|im_end|>", 1, "<image>< |image_pad|>x< |im_end|>"),
        ("<img><IMG_CONTEXT></img>", 1, "<image>< img>< IMG_CONTEXT>< /img>"),
        ("|x| < |y|, a<|b|>c, <b>, <imgs>", 1, "<image>|x| < |y|, a< |b|>c, <b>, <imgs>"),
    ],
)
def test_tags_are_placed(text, images, expected):
    assert place_tags(text, images) == expected


@pytest.mark.parametrize(("text", "images"), [("<image><image>", 1), ("<image>", 2), ("<image2>, <image1>", 2)])
def test_another_number_of_tags_is_rejected(text, images):
    assert place_tags(text, images).reason == "image_tags"


TAGGED = st.lists(
    st.sampled_from(["<image>", "<image1>", "<image2>", "<video>", "<audio>", "<", ">", "image", " "]) | st.text()
).map("".join)


@given(TAGGED, st.integers(1, 3))
def test_placed_tags_are_as_many_as_images_and_no_other_media(text, images):
    placed = place_tags(text, images)
    if not isinstance(placed, Rejection):
        assert placed.count("<image>") == images
        assert "<video>" not in placed and "<audio>" not in placed


@given(TAGGED)
def test_without_tags_has_none(text):
    clean = without_tags(text)
    assert not any(tag in clean for tag in ("<image>", "<video>", "<audio>"))


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("5", "5"),
        (" $$x=5.$$ ", "x=5"),
        ("$a$ and $b$", "$a$ and $b$"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{1} or \\boxed{2}", "\\boxed{1} or \\boxed{2}"),
        ("\\(7\\)", "7"),
        ("0.5", "0.5"),
        ("A.", "A"),
        ("$\\boxed{3}$。", "3"),
        ("20,", "20"),
        ("\\(x\\);", "x"),
        ("0.333...", "0.333..."),
        ("x\\right..", "x\\right."),
        (f"$${CASES_OF_TWO}$$", CASES_OF_TWO),
        (f"{CASES_OF_TWO}.", CASES_OF_TWO),
        ("$$\\number{24} $$", "24"),
        ("$$\\quantity{18}{cm^{2}}$$", "18 cm^{2}"),
        ("30\\ \\unit{cm}", "30\\ cm"),
        ("\\number", "\\number"),
    ],
)
def test_answers_are_unwrapped(answer, gold):
    assert checkable_answer(answer) == gold


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("", "answer_empty"), ("$$ . $$", "answer_empty"), ("x" * 201, "answer_too_long"), ("x\n\ny", "answer_too_long")],
)
def test_answers_that_no_rule_can_check(answer, reason):
    assert checkable_answer(answer).reason == reason


@pytest.mark.parametrize(
    "answer",
    ["①②", "①②④", "①、③", "① and ②", "(1)(3)(4)", "（1）（2）", "(1), (2)", "f(1)<f(2)", "P(1)+P(2)=1",
     "\\{(1), (2)\\}", "1.3.4", "3, 5", "3; 5", "6 or 2 or 10", "(a, b)", "12 500", "$x$ 和 $y$", "$2$:$3$",
     "$a$+$b$", "-17"],
)  # fmt: skip
def test_statements_lists_and_arguments_are_one_answer(answer):
    assert checkable_answer(answer) == answer


@pytest.mark.parametrize(
    "answer",
    ["①3②4", "(1) 5 (2) 6", "(1)x<1 (2)y=2", "（1）3；（2）4", "(i) 3 (ii) 4", "(a) 3 (b) 4", "5\n6", "north\n40\neast",
     "$$7$$ $$10$$", "$$4$$,$$6$$ $$-4$$,$$0$$", "6 6", "1 1 -1", "(3,6)\n(7,8)", "2;\nx<1"],
)  # fmt: skip
def test_answers_without_a_separator_are_parts(answer):
    assert checkable_answer(answer).reason == "answer_in_parts"


@pytest.mark.parametrize(
    "answer",
    ["$$BD=CE$$ (not unique)", "$2.2$ (not unique, any value close to it is acceptable)", "x=1（答案不唯一）",
     "$A$ or $B$ (choose one)", "$$x \\geqslant 2$$(or $$x > 2$$)", "$$\\dfrac{35}{4}$$(or fill in $$8.75$$)",
     "Answers may vary"],
)  # fmt: skip
def test_one_of_several_right_answers_is_told(answer):
    assert checkable_answer(answer).reason == "answer_not_unique"


@pytest.mark.parametrize("answer", ["x=1 or x=2", "unique", "one", "any", "choose 5", "only one", "(origin)"])
def test_other_words_of_choice_are_answers(answer):
    assert checkable_answer(answer) == answer


@pytest.mark.parametrize(
    "answer",
    ["∵AB=AC ∴BD=7. Therefore, fill in 7.", "Since a = 2, it is 300", "解：x=5", "The length is 8, so it is 8",
     "Let r be the radius of the base, then from the statement the minor axis is 2r",
     "the first of all the points that lie on the line"],
)  # fmt: skip
def test_short_solutions_are_no_answers(answer):
    assert checkable_answer(answer).reason == "answer_too_long"


@pytest.mark.parametrize(
    "answer",
    ["parallel to the axis", "no real solutions", "\\text{increasing}", "Jia", "so", "sinA", "twice as large"],
)
def test_short_answers_in_words_are_kept(answer):
    assert checkable_answer(answer) == answer


@given(st.text(alphabet="$.\\boxed{}()[]1 。\n"))
def test_unwrapping_ends_and_a_gold_answer_has_nothing_left_to_unwrap(text):
    gold = checkable_answer(text)
    assert isinstance(gold, Rejection) or (gold and checkable_answer(gold) == gold)


@given(ANYTHING)
def test_text_of_anything_can_be_written(value):
    assert text_of(value) == text_of(value).encode().decode().strip()


def test_text_of_a_lone_surrogate_can_be_written():
    assert text_of("a\ud800b") == "a?b"


@pytest.mark.parametrize("letter", ["E", "AB", "?", "", "1"])
def test_a_letter_that_names_no_choice(letter):
    assert choice_text(["1", "2", "3", "4"], letter).reason == "choice_out_of_range"
    assert choice_text(["1", 2.5], "b") == "2.5"


def test_templates(tmp_path):
    (r1,) = prompt_template("r1", "grounding").messages("Find {it}.")
    assert r1 == {
        "role": "user",
        "content": "Find {it}. First output the thinking process in <think> </think> tags and then output the final "
        "answer in <answer> </answer> tags. Output the final answer in JSON format.",
    }
    assert "\\boxed{" in prompt_template("boxed", "math").user
    own = tmp_path / "own.txt"
    own.write_text("Q: {question}\nUse \\frac{a}{b}.\n")
    assert prompt_template(str(own), "math").messages("1+1") == [
        {"role": "user", "content": "Q: 1+1\nUse \\frac{a}{b}."}
    ]
    own.write_text("no gap")
    for name in (str(own), str(tmp_path / "absent.txt")):
        with pytest.raises(SystemExit, match="--template: .*(question|expected r1, .*, mm_eureka or a text file)"):
            prompt_template(name, "math")


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("ability", ["grounding", "math"])
def test_every_template_asks_for_a_form_that_its_reward_reads(name, ability):
    messages = prompt_template(name, ability).messages("<image>1+1?")
    assert [message["role"] for message in messages] == ["system", "user"][-len(messages) :]
    assert messages[-1]["content"].startswith("<image>1+1?") and str(messages).count("<image>") == 1
    assert "<think>" in str(messages) and ("<answer>" in str(messages) or "boxed{" in str(messages))
    has_system = name in ("system_boxed", "vlm_r1", "mm_eureka")
    assert (len(messages) == 2) == has_system


def test_easyr1_puts_its_words_behind_the_question():
    (user,) = prompt_template("easyr1", "math").messages("1+1?")
    (system, _) = prompt_template("system_boxed", "math").messages("1+1?")
    assert user["content"] == f"1+1? {system['content']}" and user["content"].startswith("1+1? You FIRST think")


def test_system_messages(tmp_path):
    system, user = prompt_template("system_boxed", "math").messages("<image>1+1?")
    assert (system["role"], user) == ("system", {"role": "user", "content": "<image>1+1?"})
    assert "<think>" in system["content"] and "\\boxed{}" in system["content"]
    own = tmp_path / "system.txt"
    own.write_text("Be brief.\n")
    for name in ("boxed", "system_boxed"):
        template = prompt_template(name, "math", own)
        assert template.system == "Be brief." and template.user == prompt_template(name, "math").user
    for text, message in (("", "must have a text"), ("{question}", "without {question}"), ("<image>", "no media tag")):
        own.write_text(text)
        with pytest.raises(SystemExit, match=f"--system: .*{message}"):
            prompt_template("boxed", "math", own)
    with pytest.raises(SystemExit, match="--system: got .*absent.txt', expected a text file"):
        prompt_template("boxed", "math", tmp_path / "absent.txt")
