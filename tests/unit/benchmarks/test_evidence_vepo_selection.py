"""Which words of a thought only the image tells, and which of them VEPO selects."""

import json
from random import Random

import evidence.__main__ as command
from evidence.variants import STEPS
from evidence.vepo_selection import (
    keep_tokens,
    kept_tokens,
    perturbation_table,
    places_of_vision_words,
    selection,
    selection_table,
)

from data_prep.synthetic.shapes_reasoning import make_question
from verl_plugins.demo.tasks import OPENINGS


def vision_words(text):
    words = text.replace(",", " ,").replace(".", " .").split()
    return [words[place] for place in sorted(places_of_vision_words(words))]


def test_numbers_that_are_counted_and_halves_are_found_and_what_follows_from_them_is_not():
    assert vision_words("Looking closely the number of red shapes is two.") == ["two"]
    assert vision_words("the circles number one and the squares three, which gives zero.") == ["one", "three"]
    assert vision_words("I see that the green circle is at the top, which gives one.") == ["top"]
    assert vision_words("the green circle is on the left.") == ["left"]
    assert vision_words("So two plus zero plus one makes three.") == []
    assert vision_words("at first sight, as it is, it seems") == []


def test_every_statement_of_the_task_has_as_many_as_are_read():
    facts = [fact for index in range(60) for fact in make_question(index, "train", 0)[1]]
    assert {fact.kind for fact in Random(0).sample(facts, 60)} == {"count", "place", "compare"}
    for fact in facts:
        for opening in OPENINGS:
            assert len(vision_words(f"{opening} {fact.say(fact.readings)[0]}.")) == len(fact.readings)


WORDS = ["the", "number", "of", "red", "shapes", "is", "two", ",", "I", "think"]


def record(entropy, jsd):
    """Return a record of WORDS whose perturbed entropy is its entropy, so that the score D has no entropy gap."""
    signals = {"entropy": entropy, "jsd": jsd, "perturbed_entropy": entropy}
    return {"prompt": "?", "tokens": WORDS, "kept": [0.0] * len(WORDS), **signals}


def test_the_table_tells_the_words_of_the_first_and_of_the_last_step_apart(tmp_path):
    """Step 1 has all of its JSD and some entropy at "two", and more entropy at "I think"; step 3 has neither."""
    seen = record([0.0] * 6 + [0.25, 0.0, 0.5, 0.5], [0.0] * 6 + [0.5] + [0.0] * 3)
    (tmp_path / "tokens").mkdir()
    for step, line in ((1, seen), (3, record([0.0] * 10, [0.0] * 10))):
        (tmp_path / "tokens" / f"{step}.jsonl").write_text(json.dumps(line) + "\n")
    keep_tokens(tmp_path / "tokens", (1, 3), tmp_path / "reasoning_vepo.tokens.jsonl.xz")
    assert kept_tokens(tmp_path, "grounding") == {}
    lines = selection_table(kept_tokens(tmp_path, "reasoning")).splitlines()
    assert {
        "| | step 1 | step 3 |",
        "| responses | 1 | 1 |",
        "| tokens of a response | 10.0 | 10.0 |",
        "| of them with more than 0.01 nats | 3.0 | 0.0 |",
        "| vision words | 1.0 | 1.0 |",
        "| entropy of a vision word, nats | 0.250 | 0.000 |",
        "| entropy of another token, nats | 0.111 | 0.000 |",
        "| JSD of a vision word, nats | 0.500 | 0.000 |",
        "| vision words selected by | step 1, 20% | step 1, 7% | step 3, 20% | step 3, 7% |",
        "| D | 1.00 | 1.00 | 0.00 | 0.00 |",
        "| entropy alone | 0.00 | 0.00 | 0.00 | 0.00 |",
    } <= set(lines)


def test_the_table_of_perturbations_has_a_line_for_each(tmp_path):
    """Noise that moves "two" by 0.5 nats and no other word has one line, in which both scores select "two"."""
    line = record([0.0] * 6 + [0.25] + [0.0] * 3, [0.0] * 6 + [0.5] + [0.0] * 3)
    (tmp_path / "1.jsonl").write_text(json.dumps(line) + "\n")
    assert perturbation_table({"patch": tmp_path}).splitlines()[2:] == ["| patch | 0.5000 | 0.0000 | 1.00 | 1.00 |"]


def test_the_score_of_the_kept_runs_selects_what_they_trained_on():
    """Rounded signals order some tokens without entropy differently: one in a hundred, and no vision word."""
    steps = kept_tokens(command.DATA, "reasoning")
    assert sorted(steps) == [1, STEPS]
    for records in steps.values():
        differ, words = 0, 0
        for line in records:
            vision = places_of_vision_words([token.strip() for token in line["tokens"]])
            for place, (selected, kept) in enumerate(zip(selection(line, "D", 0.2), line["kept"], strict=True)):
                assert selected == (kept > 0) or place not in vision
                differ, words = differ + (selected != (kept > 0)), words + 1
        assert differ < 0.02 * words
