"""The demo's handling of its training run: metrics of several attempts, and which runs it resumes."""

import json

from verl_plugins.demo import run_demo as run
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command
from verl_plugins.report.run_files import merge_attempts


def write(path, *steps):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in steps))


def test_attempts_become_one_line_a_step(tmp_path):
    # Killed after step 3, resumed from the checkpoint of step 2; verl logs the validation of step 2 once more.
    write(tmp_path / "attempts/000.jsonl", (0, {"val": 1}), (1, {"r": 1}), (2, {"r": 2}), (3, {"r": 3}))
    write(tmp_path / "attempts/001.jsonl", (2, {"val": 2}), (3, {"r": 33}), (4, {"r": 4}))
    merge_attempts(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == [
        {"step": 0, "data": {"val": 1}},
        {"step": 1, "data": {"r": 1}},
        {"step": 2, "data": {"r": 2, "val": 2}},
        {"step": 3, "data": {"r": 33}},
        {"step": 4, "data": {"r": 4}},
    ]


def test_a_line_that_is_still_being_written_is_no_error(tmp_path):
    (tmp_path / "attempts").mkdir()
    (tmp_path / "attempts/000.jsonl").write_text('{"step": 0, "da')
    merge_attempts(tmp_path)
    assert not (tmp_path / "metrics.jsonl").exists()


def test_a_run_goes_on_only_with_its_own_command(tmp_path):
    def command(*overrides):
        return training_command(tmp_path / "m", tmp_path / "d", tmp_path, TASKS["grounding"], "ecvgpo", 4, overrides)

    assert run._conflict(tmp_path, command()) == []  # nothing there yet
    run._write_facts(tmp_path, TASKS["grounding"], command())
    (tmp_path / "checkpoints").mkdir()
    assert run._conflict(tmp_path, command()) == []
    (problem,) = run._conflict(tmp_path, command("algorithm.ecvgpo.r0=-50"))
    assert "got another command" in problem
    assert run._conflict(tmp_path, command("trainer.health.action=warn")) == []  # the advice of a stopped run
    assert "give --out" in problem


def test_a_bad_override_is_told_before_anything_starts(tmp_path):
    for bad, message in [("algorithm.ecvgpo.r0=0", "r0: got 0"), ("no.such.key=1", "no.such.key")]:
        problems = run._problems(training_command(tmp_path, tmp_path, tmp_path, TASKS["grounding"], "ecvgpo", 4, [bad]))
        assert any(message in problem for problem in problems), problems
