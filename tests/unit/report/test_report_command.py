"""`verl-plugins report` on any run directory: its files, TensorBoard's included, and the alarms that it marks."""

import json
import math
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from test_report import QUESTIONS, record, write_dump, write_metrics, write_val_file

from verl_plugins.cli import main
from verl_plugins.compose import compose_run
from verl_plugins.report.alarms import alarm_spans, spans_on
from verl_plugins.report.chart import Curve, line_chart
from verl_plugins.report.metrics import load_metrics
from verl_plugins.report.run_files import load_run, read_config, validation_files


def data(step, **health):
    values = {"actor/entropy": 1 / step, "critic/score/mean": step / 10, "groups/zero_variance": 0.25}
    return values | {f"health/{name}": value for name, value in health.items()}


@pytest.fixture
def tensorboard_log(tmp_path, monkeypatch):
    """Return a function that writes steps through verl's tensorboard logger, as one start of a run does."""
    from verl.utils.tracking import Tracking

    monkeypatch.setenv("TENSORBOARD_DIR", str(tmp_path / "run" / "tensorboard"))

    def write(steps, **values):
        tracking = Tracking("project", "experiment", default_backend=["tensorboard"])
        for step in steps:
            tracking.log(data(step) | values, step)
        tracking.finish()

    return write


def test_what_verls_tensorboard_logger_writes_is_read_like_its_file(tmp_path, tensorboard_log):
    tensorboard_log([1, 2, 3], **{"health/entropy_collapse": 1, "actor/grad_norm": math.nan})
    log = load_run(tmp_path / "run")
    assert [row["step"] for row in log.steps] == [1, 2, 3]
    assert log.steps[2]["actor/entropy"] == pytest.approx(1 / 3, rel=1e-6)  # 32 bits
    assert math.isnan(log.steps[0]["actor/grad_norm"])
    assert alarm_spans(log.steps) == {"entropy_collapse": [(1, 3)]}


def test_a_resume_in_tensorboard_drops_the_steps_that_it_threw_away(tmp_path, tensorboard_log, monkeypatch):
    import time

    tensorboard_log([1, 2, 3, 4])
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)  # files are named by the second
    tensorboard_log([2, 3], mark=7.0)
    log = load_run(tmp_path / "run")
    assert [(row["step"], row.get("mark")) for row in log.steps] == [(1, None), (2, 7), (3, 7)]
    assert (log.repeated, log.abandoned) == ([2, 3], [4])


def test_a_torn_event_file_is_read_up_to_the_tear(tmp_path, tensorboard_log):
    tensorboard_log([1, 2, 3])
    (path,) = (tmp_path / "run" / "tensorboard").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    assert [row["step"] for row in load_run(tmp_path / "run").steps] == [1, 2, 3]


def test_the_method_yamls_log_to_tensorboard():
    assert compose_run(["+method=ecvgpo"]).trainer.logger == ["console", "tensorboard"]
    assert compose_run(["+method=ecvgpo", "trainer.logger=[console,wandb]"]).trainer.logger == ["console", "wandb"]


def test_verls_own_file_name_is_found_and_two_runs_are_not_mixed(tmp_path):
    (tmp_path / "notes.jsonl").write_text('{"text": "no metrics"}\n')
    (tmp_path / "ecvgpo.jsonl").write_text(record(1, {"a": 1.0}))
    assert load_run(tmp_path).steps == [{"step": 1, "a": 1.0}]
    (tmp_path / "vepo.jsonl").write_text(record(1, {"a": 2.0}))
    with pytest.raises(ValueError, match=r"got metrics of several runs \(ecvgpo.jsonl, vepo.jsonl\)"):
        load_run(tmp_path)
    write_metrics(tmp_path, [record(1, {"a": 3.0})])
    assert load_run(tmp_path).steps[0]["a"] == 3.0


def test_event_files_of_two_runs_are_not_mixed(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "events.out.tfevents.1.host").write_bytes(b"")
    with pytest.raises(ValueError, match="of several runs .* give one of these directories"):
        load_run(tmp_path)
    with pytest.raises(ValueError, match="expected at least one step"):
        load_run(tmp_path / "a")  # started, nothing logged yet


def test_the_validation_files_are_those_that_hydras_copy_of_the_config_names(tmp_path):
    folder = tmp_path / "hydra" / ".hydra"
    folder.mkdir(parents=True)
    val_file = write_val_file(tmp_path / "val.parquet", QUESTIONS)
    other = write_val_file(tmp_path / "other.parquet", QUESTIONS)
    for files, expected in (
        (str(val_file), [val_file]),
        ([str(val_file), str(other)], [val_file, other]),
        ([str(val_file), "/nowhere.parquet"], [val_file]),
        ("/nowhere.parquet", []),
    ):
        (folder / "config.yaml").write_text(yaml.safe_dump({"data": {"val_files": files}}))
        assert validation_files(read_config(tmp_path)) == expected
    assert validation_files(read_config(folder)) == []


# -- alarms ------------------------------------------------------------------------------------------------------------


def test_alarm_spans():
    rang = [0, 1, 1, 0, 1]
    steps = [{"step": i, "health/entropy_collapse": on, "health/rollout_mismatch": 0} for i, on in enumerate(rang, 1)]
    alarms = alarm_spans(steps)
    assert alarms == {"entropy_collapse": [(2, 3), (5, 5)], "rollout_mismatch": []}
    assert spans_on("actor/entropy", alarms) == [(2, 3, "entropy_collapse"), (5, 5, "entropy_collapse")]
    assert spans_on("critic/score/mean", alarms) == []
    assert spans_on("reward/a/error", {"reward_failures": [(1, 2)]}) == [(1, 2, "reward_failures")]


def test_a_curve_is_shaded_where_its_alarm_rang():
    def chart(alarms):
        return line_chart("c", "t", "u", [Curve("", 0, [(0, 1.0), (10, 2.0)], alarms)])

    svg = chart([(2, 4, "a & b"), (9, 12, "late"), (20, 21, "beyond")])
    bands = re.findall(r'<rect class="alarm" x="([\d.]+)" y="\d+" width="([\d.]+)"', svg)
    whole = chart([(0, 10, "a")])
    ((start, width),) = re.findall(r'<rect class="alarm" x="([\d.]+)" y="\d+" width="([\d.]+)"', whole)
    span = float(width) - 4  # of the ten steps; a band is two pixels wider on either side
    assert float(bands[0][0]) == pytest.approx(float(start) + 0.2 * span, abs=0.2)
    assert float(bands[0][1]) == pytest.approx(0.2 * span + 4, abs=0.2)
    assert len(bands) == 2 and float(bands[1][1]) == pytest.approx(0.1 * span + 4, abs=0.2)
    assert "a &amp; b, step 2 to 4" in svg and "beyond" not in svg


def test_the_report_lists_alarms_and_says_when_none_were_checked(tmp_path, capsys):
    write_metrics(tmp_path, [record(step, data(step)) for step in (1, 2, 3)])
    assert main(["report", str(tmp_path)]) == 0
    html = (tmp_path / "report.html").read_text()
    assert "Not checked: this run logged no health/" in html
    assert "Method: health" not in html and "Method: groups" not in html
    assert "Groups without an advantage" in html
    rang = {"entropy_collapse": 1.0, "rollout_mismatch": 0.0}
    write_metrics(tmp_path, [record(step, data(step, **(rang if step == 3 else {}))) for step in (1, 2, 3)])
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "second.html")]) == 0
    html = (tmp_path / "second.html").read_text()
    assert '<tr><th scope="row">entropy_collapse</th><td>3</td><td>policy entropy, nats a token</td></tr>' in html
    assert "silent: rollout_mismatch." in html
    assert html.count('class="alarm"') == 1  # on the entropy's curve
    assert "second.html" in capsys.readouterr().out


# -- the command -------------------------------------------------------------------------------------------------------


def test_the_command_shows_images_where_it_knows_the_validation_file(tmp_path, capsys):
    run = tmp_path / "run"
    run.mkdir()
    write_metrics(run, [record(12, {"critic/score/mean": 1.0})])
    for step in (0, 12):
        write_dump(run, step, [step / 12] * len(QUESTIONS), QUESTIONS)
    val_file = write_val_file(tmp_path / "val.parquet", QUESTIONS)
    assert main(["report", str(run)]) == 0
    assert "the validation file is not known; give it with --val-file" in (run / "report.html").read_text()
    assert main(["report", str(run), f"--val-file={val_file}"]) == 0
    assert "true box (solid line)" in (run / "report.html").read_text()
    assert "Reward" in capsys.readouterr().out


@pytest.mark.parametrize("exists", [True, False])
def test_no_run_is_one_line_and_exit_code_1(tmp_path, capsys, exists):
    folder = tmp_path if exists else tmp_path / "nowhere"
    assert main(["report", str(folder)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"verl-plugins: no report: {folder}: got no ")


def test_a_run_that_is_still_writing_has_a_report(tmp_path):
    lines = [record(step, data(step)) for step in (1, 2)]
    write_metrics(tmp_path, [*lines, json.dumps({"step": 3})[:8]])
    assert main(["report", str(tmp_path)]) == 0
    assert load_metrics(tmp_path / "metrics.jsonl").unreadable_lines == 1


def written(run_dir, *options):
    """Return the text of the report that the command writes."""
    out = run_dir / "page.html"
    assert main(["report", str(run_dir), "--out", str(out), *options]) == 0
    return re.sub(r"\s+", " ", out.read_text().replace("&#39;", "'").replace("&#34;", '"'))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hydra/.hydra/config.yaml", "data: {val_files: [a"),
        ("hydra/.hydra/config.yaml", "- a list"),
        ("hydra/.hydra/config.yaml", "data: 5"),
        ("hydra/.hydra/config.yaml", "data: {val_files: 5}"),
        ("run.json", ""),
        ("run.json", "[]"),
        ("tokens/1.jsonl", "{}"),
        ("vppo_tokens/1.jsonl", '{"group": 1, "prompt": "", "tokens": ["a"], "kept": [], "score": []}'),
        ("adversarial/1.jsonl", "{}"),
    ],
)
def test_a_damaged_side_file_is_a_note_that_names_it_and_the_rest_is_shown(tmp_path, name, content):
    write_metrics(tmp_path, [record(step, data(step)) for step in (1, 2)])
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(content)
    html = written(tmp_path)
    assert f"Not shown: {tmp_path / name}, which cannot be read (" in html
    assert "actor/entropy" in html


def test_one_damaged_step_of_tokens_leaves_the_others(tmp_path):
    write_metrics(tmp_path, [record(step, data(step)) for step in (1, 2)])
    (tmp_path / "tokens").mkdir()
    good = {"group": 0, "prompt": "Where?", "tokens": ["north"], "score": [0.5], "kept": [1.0], "reward": 1.0}
    (tmp_path / "tokens" / "1.jsonl").write_text("{}\n")
    (tmp_path / "tokens" / "2.jsonl").write_text(json.dumps(good) + "\n")
    html = written(tmp_path)
    assert f"Not shown: {tmp_path}/tokens/1.jsonl" in html and "north" in html


@pytest.mark.parametrize("content", [b"", b"PAR1 no parquet"])
def test_a_damaged_validation_file_of_the_config_is_a_note_and_a_given_one_an_error(tmp_path, capsys, content):
    write_metrics(tmp_path, [record(step, data(step)) for step in (1, 2)])
    good, damaged = write_val_file(tmp_path / "good.parquet", QUESTIONS), tmp_path / "damaged.parquet"
    damaged.write_bytes(content)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text(yaml.safe_dump({"data": {"val_files": [str(good), str(damaged)]}}))
    assert f"Not shown: {damaged}, which cannot be read (" in written(tmp_path)
    assert main(["report", str(tmp_path), "--val-file", str(damaged)]) == 1
    assert f"verl-plugins: no report: {damaged}: got " in capsys.readouterr().err


def test_images_that_cannot_be_read_leave_the_curves(tmp_path):
    write_metrics(tmp_path, [record(step, data(step)) for step in (1, 2)])
    for step in (1, 2):
        write_dump(tmp_path, step, [0.5] * 3, QUESTIONS[:3])
    path = write_val_file(tmp_path / "val.parquet", QUESTIONS[:3])
    rows = pq.read_table(path).to_pylist()
    pq.write_table(
        pa.Table.from_pylist([row | {"images": [{"bytes": b"no image", "path": "x"}]} for row in rows]), path
    )
    html = written(tmp_path, "--val-file", str(path))
    assert f"Not shown: {tmp_path}/validation, which cannot be read (" in html and "actor/entropy" in html
    pq.write_table(pa.Table.from_pylist([{key: row[key] for key in row if key != "images"} for row in rows]), path)
    assert f"Not shown: {tmp_path}/validation, which cannot be read (" in written(tmp_path, "--val-file", str(path))


def test_an_output_that_cannot_be_written_is_one_line(tmp_path, capsys):
    write_metrics(tmp_path, [record(1, data(1))])
    for out in (tmp_path, tmp_path / "metrics.jsonl" / "page.html"):
        assert main(["report", str(tmp_path), "--out", str(out)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("verl-plugins: no report: --out: got ")
