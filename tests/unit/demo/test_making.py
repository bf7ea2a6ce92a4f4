"""How the starting models are made: labels, a short warm-up in its stages, measured answers, recorded files."""

import json
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from data_prep.synthetic.scenes import ColouredShape
from verl_plugins.demo.assets import FACTS, wrong_files
from verl_plugins.demo.making.make_starts import make_start, make_start_again
from verl_plugins.demo.making.quality import QUANTILES, measure
from verl_plugins.demo.making.warmup import IGNORE, WarmUp, cell_labels
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm

GROUNDING = replace(TASKS["grounding"], right_steps=2, answer_steps=2)
SHORT = WarmUp(batch=4, vision_rows=8, vision_steps=2, text_rows=8, caption_steps=2)


def test_a_cell_has_the_labels_of_the_shape_that_covers_most_of_it():
    circle = ColouredShape("green", "circle", "large", (28, 0, 88, 60))
    square = ColouredShape("red", "square", "small", (0, 76, 24, 100))
    labels = cell_labels([circle, square]).view(4, 4, -1).tolist()
    nothing, ignored = [0, 0, 0] + [IGNORE] * 4, [IGNORE] * 7
    green, red = [2, 2, 2, 7, 0, 22, 15], [1, 1, 1, 0, 19, 6, 25]
    assert labels[0] == labels[1] == [nothing, green, green, green]  # 4 of the last cell's 28 columns, 14%, are green
    assert labels[2] == [red, green, green, ignored]  # 16 of the last cell's pixels are
    assert labels[3] == [red, nothing, nothing, nothing]


def test_a_shape_within_a_cell_is_its_label_however_small():
    labels = cell_labels([ColouredShape("blue", "triangle", "small", (4, 4, 12, 12))])
    assert labels[0].tolist() == [3, 3, 1, 1, 1, 3, 3]


@pytest.fixture(scope="module")
def starts(tmp_path_factory):
    """Folders of two starts of one seed, of one of another seed, and the kept stages of the first."""
    folder = tmp_path_factory.mktemp("starts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("verl_plugins.demo.making.make_starts.EVALUATION_ROWS", 2)
        short = replace(GROUNDING, max_response_length=2)
        tasks = {"grounding": short}
        before = torch.get_rng_state()
        make_start(short, tasks, folder / "a", folder / "work", SHORT)
        assert torch.equal(before, torch.get_rng_state())
        make_start(short, tasks, folder / "resumed", folder / "work", SHORT)  # all stages but the last are kept
        make_start(short, tasks, folder / "other", folder / "other-work", replace(SHORT, seed=1))
    return folder


def weights(folder):
    return AutoModelForImageTextToText.from_pretrained(folder).state_dict()


def test_a_start_that_goes_on_from_kept_stages_is_the_same_start(starts):
    kept = {path.name for path in (starts / "work").iterdir()}
    stages = {"vision.safetensors", "grounding-captions.safetensors", "grounding-right.safetensors"}
    assert kept == {*stages, "grounding-random"}
    assert (starts / "a" / "model.safetensors").read_bytes() == (starts / "resumed" / "model.safetensors").read_bytes()


def test_every_part_learns_and_the_seed_decides(starts):
    before, a, other = weights(starts / "work" / "grounding-random"), weights(starts / "a"), weights(starts / "other")
    untouched = [name for name in a if torch.equal(a[name], before[name].half().float())]
    assert untouched == [] and [name for name in a if torch.equal(a[name], other[name])] == []


def test_a_start_that_is_taught_other_answers_keeps_its_eyes_and_words(starts, tmp_path, monkeypatch):
    monkeypatch.setattr("verl_plugins.demo.making.make_starts.EVALUATION_ROWS", 2)
    before = torch.get_rng_state()
    work = tmp_path / "work"
    make_start_again(replace(GROUNDING, max_response_length=2), starts / "a", tmp_path / "again", work, SHORT)
    assert torch.equal(before, torch.get_rng_state())
    a, again = weights(starts / "a"), weights(tmp_path / "again")
    kept = [name for name in a if torch.equal(a[name], again[name])]
    assert kept == [name for name in a if ".visual." in name]
    same = {path.name for path in (starts / "a").iterdir()} - {"model.safetensors", FACTS}
    assert {
        name for name in same if (tmp_path / "again" / name).read_bytes() == (starts / "a" / name).read_bytes()
    } == same
    facts = json.loads((tmp_path / "again" / FACTS).read_text())
    assert json.loads((starts / "a" / FACTS).read_text())["sha256"]["model.safetensors"].startswith(facts["before"])
    assert wrong_files(tmp_path / "again") == []


def test_a_start_is_small_in_half_precision_and_computes_in_float32(starts):
    assert (starts / "a" / "model.safetensors").stat().st_size < 10e6
    model = AutoModelForImageTextToText.from_pretrained(starts / "a")
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert AutoProcessor.from_pretrained(starts / "a").chat_template


def test_its_facts_tell_how_it_was_made_and_a_changed_file(starts):
    facts = json.loads((starts / "a" / FACTS).read_text())
    assert facts["warm_up"]["vision_steps"] == 2 and facts["quality"]["rows"] == 2
    assert {path.name for path in (starts / "a").iterdir()} == {*facts["sha256"], FACTS}
    assert wrong_files(starts / "a") == []
    config = starts / "other" / "config.json"
    config.write_text(config.read_text() + " ")
    assert wrong_files(starts / "other") == ["config.json"]
    assert wrong_files(starts) == [FACTS]


@pytest.fixture(scope="module")
def random_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("random")
    build_tiny_vlm(path, GROUNDING)
    return AutoModelForImageTextToText.from_pretrained(path), AutoProcessor.from_pretrained(path)


def measured(random_model, monkeypatch, answers):
    """Measure answers that are given: to the greedy call and to each sampling call, one text a row."""
    model, processor = random_model
    rows = [GROUNDING.make_row(index, "val", 0) for index in range(2)]
    texts = iter(answers([row["reward_model"]["ground_truth"] for row in rows]))
    monkeypatch.setattr(processor, "batch_decode", lambda *args, **kwargs: next(texts))
    return measure(model, processor, replace(GROUNDING, max_response_length=2), rows, samples=4)


def test_right_answers_are_measured_as_right(random_model, monkeypatch):
    got = measured(random_model, monkeypatch, lambda truths: [[f"<answer>{truth}</answer>" for truth in truths]] * 5)
    assert (got.greedy, got.sampled, got.sampled_reward, got.sampled_format) == (1, 1, 1.5, 1)
    assert got.group_std_quantiles == [0] * len(QUANTILES)
    assert (got.gated, got.rarely_right) == (0, 0)  # a group without spread teaches nothing
    assert 0 < got.entropy < torch.tensor(len(random_model[1].tokenizer)).log()


def test_groups_are_told_apart_by_the_spread_of_their_rewards(random_model, monkeypatch):
    """Row 0: four good boxes of nearly one quality. Row 1: one right answer among wrong ones."""

    def answers(truths):
        x1, y1, x2, y2 = json.loads(truths[0])
        near = [f"<answer>[{x1}, {y1}, {x2 + 4 * (turn % 2)}, {y2}]</answer>" for turn in range(4)]
        other = [f"<answer>{truths[1]}</answer>", *["<answer>[0, 0, 4, 4]</answer>"] * 3]
        return [["", ""], *([near[turn], other[turn]] for turn in range(4))]

    got = measured(random_model, monkeypatch, answers)
    assert got.greedy == 0 and got.gated == 0.5
    assert got.rarely_right == 0  # one in four is no rarity
    assert got.group_std_quantiles[0] < 0.2 < got.group_std_quantiles[-1]
