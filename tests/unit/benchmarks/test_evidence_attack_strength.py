"""The table of SaEI's attack by strength, from folders as an evaluation leaves them."""

from __future__ import annotations

import json

from evidence.attack_strength import ATTACKS, table

from verl_plugins.evaluate.attack_settings import AttackSettings


def evaluation(folder, accuracies, attack=None, boxed=True):
    folder.mkdir()
    response = "\\boxed{two}" if boxed else "two"
    lines = [{"row": row, "accuracy": value, "response": response} for row, value in enumerate(accuracies)]
    (folder / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in reversed(lines)))
    (folder / "summary.json").write_text(json.dumps({"attack": attack} if attack else {}))
    return folder


def test_lost_and_gained_answers_are_counted_by_row(tmp_path):
    attack = AttackSettings("saei", 8.0, 4).facts() | {"pixel_change": 7.5}
    attack |= {"entropy_before": 0.001, "entropy_after": 0.25}
    clean = evaluation(tmp_path / "clean", [1.0, 1.0, 0.0, 0.0])
    attacked = evaluation(tmp_path / "attacked", [1.0, 0.0, 1.0, 1.0], attack, boxed=False)
    noise = AttackSettings("random", 8.0).facts() | {"pixel_change": 8.0}
    random = evaluation(tmp_path / "random", [0.0] * 4, noise)
    lines = table([clean, attacked, random]).splitlines()[2:]
    assert lines[0] == "| none | 0.500 | 0.0% | – | – | – | – | – |"
    assert lines[1] == "| saei, strength 8 of 255 levels, 4 steps | 0.750 | 100.0% | 1 | 2 | 7.50 | 0.00100 | 0.25000 |"
    assert lines[2] == "| random, strength 8 of 255 levels | 0.000 | 0.0% | 2 | 0 | 8.00 | – | – |"


def test_every_attack_is_one_that_an_evaluation_knows():
    for options in filter(None, ATTACKS):
        values = dict(option.removeprefix("--").split("=") for option in options)
        AttackSettings(values["attack"], float(values["strength"]), int(values.get("attack-steps", 1)))
