"""Which words of a thought only the image tells, and which of them VEPO selects."""

import json
from random import Random

from evidence.vepo_selection import keep_tokens, kept_tokens, places_of_vision_words, selection_table

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


def record(words, **signals):
    return {"prompt": "?", "tokens": words, "kept": [0.0] * len(words), **signals}


def test_the_table_tells_the_words_of_the_first_and_of_the_last_step_apart(tmp_path):
    """Of ten words two are selected; in step 1 "two" has some entropy and all of the JSD, "I think" more entropy."""
    words = ["the", "number", "of", "red", "shapes", "is", "two", ",", "I", "think"]
    flat = {"entropy": [0.0] * 10, "jsd": [0.0] * 10, "perturbed_entropy": [0.0] * 10}
    seen = {name: list(values) for name, values in flat.items()}
    seen["entropy"][6], seen["jsd"][6] = 0.25, 0.5
    seen["entropy"][8:10] = [0.5, 0.5]
    seen["perturbed_entropy"] = seen["entropy"]
    for step, signals in ((1, seen), (3, flat)):
        (tmp_path / "tokens").mkdir(exist_ok=True)
        (tmp_path / "tokens" / f"{step}.jsonl").write_text(json.dumps(record(words, **signals)) + "\n")
    keep_tokens(tmp_path / "tokens", (1, 3), tmp_path / "reasoning_vepo.tokens.jsonl.xz")
    table = selection_table(kept_tokens(tmp_path, "reasoning"))
    assert kept_tokens(tmp_path, "grounding") == {}
    assert table.startswith("| | step 1 | step 3 |\n|---|---|---|\n| responses | 1 | 1 |\n| vision words | 1 | 1 |\n")
    assert "| other tokens | 9 | 9 |" in table
    assert "| entropy of vision words, nats | 0.2500 | 0.0000 |" in table
    assert "| JSD of other tokens, nats | 0.0000 | 0.0000 |" in table
    assert "| selected by D | 1.00 | 0.00 |" in table and "| selected by entropy alone | 0.00 | 0.00 |" in table
