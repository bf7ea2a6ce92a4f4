"""Which words of a thought only the image tells."""

from random import Random

from evidence.vepo_selection import places_of_vision_words

from data_prep.synthetic.shapes_reasoning import make_question


def vision_words(text):
    words = text.replace(",", " ,").replace(".", " .").split()
    return [words[place] for place in sorted(places_of_vision_words(words))]


def test_numbers_that_are_counted_and_halves_are_found_and_what_follows_from_them_is_not():
    assert vision_words("Looking closely, the number of red shapes is two, I think.") == ["two"]
    assert vision_words("the circles number one and the squares three, which gives zero.") == ["one", "three"]
    assert vision_words("the green circle is at the top, which gives one here.") == ["top"]
    assert vision_words("the green circle is on the left.") == ["left"]
    assert vision_words("So two plus zero plus one makes three.") == []
    assert vision_words("at first sight, as it is, it seems") == []


def test_every_statement_of_the_task_has_as_many_as_are_read():
    facts = [fact for index in range(60) for fact in make_question(index, "train", 0)[1]]
    assert {fact.kind for fact in Random(0).sample(facts, 60)} == {"count", "place", "compare"}
    for fact in facts:
        assert len(vision_words(fact.say(fact.readings)[0])) == len(fact.readings)
