"""Several runs in one report: names, the tables, what differs, distributions by data source, folded charts."""

from __future__ import annotations

import json
import lzma
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from test_report import GOLD, QUESTIONS, png, record, write_dump, write_metrics

from verl_plugins.cli import main
from verl_plugins.report.loaded_run import run_names
from verl_plugins.report.metric_meanings import meaning_of
from verl_plugins.report.quantities import NO_METHODS
from verl_plugins.report.write_report import write_report

ROOT = Path(__file__).parents[3]


def write_config(run, **settings):
    folder = run / "hydra" / ".hydra"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))


@pytest.fixture
def two_runs(tmp_path):
    """Reward 0.1 to 0.4 and 0.4 down to 0.1; the second has no entropy, and another r0 and folder of checkpoints."""
    for name, sign, r0 in (("a", 1, 10), ("b", -1, 25)):
        run = tmp_path / name
        run.mkdir()
        rewards = [0.1, 0.2, 0.3, 0.4][::sign]
        data = [{"critic/score/mean": reward, "reward/s/error": 0.0} for reward in rewards]
        for row in data if name == "a" else []:
            row["actor/entropy"] = 2 * row["critic/score/mean"]
        write_metrics(run, [record(step, row) for step, row in enumerate(data, 1)])
        trainer = {"default_local_dir": f"{run}/checkpoints", "project_name": "p"}
        write_config(run, algorithm={"ecvgpo": {"r0": r0, "l0": 25}}, trainer=trainer, run_dir=str(run))
    return [tmp_path / "a", tmp_path / "b"]


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]
    assert run_names([Path("/x/1/run"), Path("/x/2/run")]) == ["1/run", "2/run"]
    assert run_names([Path("/x/run")]) == [""]
    with pytest.raises(ValueError, match="expected different folders"):
        run_names([tmp_path, tmp_path / ".." / tmp_path.name])


def test_both_runs_are_in_each_chart_and_table(two_runs, tmp_path):
    out, table = write_report(two_runs, out=tmp_path / "out" / "c.html")
    html = out.read_text()
    values = json.loads(re.search(r'id="values">(.*?)</script>', html, re.DOTALL)[1])
    reward = values["chart0x0"]
    assert [(curve["run"], curve["values"]) for curve in reward["curves"]] == [
        ("a", [0.1, 0.2, 0.3, 0.4]),
        ("b", [0.4, 0.3, 0.2, 0.1]),
    ]
    lines = [line.split() for line in table.splitlines()]
    # means of two and two: 0.15 and 0.35; the best of the second is its first
    assert ["Reward", "a", "0.15", "0.35", "+0.2", "0.4", "at", "4", "1–2", "→", "3–4"] in lines
    assert ["Reward", "b", "0.35", "0.15", "-0.2", "0.4", "at", "1", "1–2", "→", "3–4"] in lines
    assert [line[:3] for line in lines if line[:2] == ["Policy", "entropy"]] == [["Policy", "entropy", "a"]]
    assert '<th scope="rowgroup" rowspan="2">Reward</th>' in html
    assert html.count('class="run run1" aria-pressed="true"') == 1


def test_settings_that_differ_are_side_by_side_without_those_of_the_folder(two_runs, tmp_path):
    html = write_report(two_runs, out=tmp_path / "c.html")[0].read_text()
    section = html.partition("<h2>Settings that differ</h2>")[2].partition("<h2>")[0]
    assert re.findall(r'<th scope="row">(.*?)</th><td>(.*?)</td><td>(.*?)</td>', section) == [
        ("algorithm.ecvgpo.r0", "10", "25")
    ]


def test_charts_without_a_change_are_folded_away(two_runs, tmp_path):
    html = write_report(two_runs, out=tmp_path / "c.html")[0].read_text()
    folded = re.findall(r'<details class="folded"><summary>(.*?)</summary>', html)
    assert folded == ["Without a change: Not scored"]
    shown = re.sub(r'<details class="folded">.*?</details>', "", html, flags=re.DOTALL)
    assert "<h3>Reward</h3>" in shown and "<h3>Not scored</h3>" not in shown


def test_distributions_are_by_data_source(tmp_path):
    """Two validation files with the same questions but one; a row that fits both sources is among the others."""
    files = []
    for source, count in (("refcoco", 2), ("lisa", 3)):
        rows = [
            {
                "prompt": [{"role": "user", "content": "<image>"}],
                "images": [{"bytes": png(number), "path": None}],
                "reward_model": {"style": "rule", "ground_truth": GOLD},
                "extra_info": {"question": f"{source} {number}?"},
                "data_source": source,
            }
            for number in range(count)
        ]
        files.append(tmp_path / f"{source}.parquet")
        pq.write_table(pa.Table.from_pylist(rows), files[-1])
    questions = ["refcoco 0?", "refcoco 1?", "lisa 0?", "lisa 1?", "lisa 2?", "refcoco 0? lisa 0?"]
    for step in (0, 4):
        write_dump(tmp_path, step, [0.5] * 6, questions)
    write_metrics(tmp_path, [record(4, {"critic/score/mean": 1.0})])
    write_config(tmp_path, data={"val_files": [str(path) for path in files]})
    html = write_report([tmp_path])[0].read_text()
    charts = re.findall(r"<h3>((?:IoU|Score), .*?)</h3>.*?(\d+) rows\.", html, re.DOTALL)
    assert charts == [
        (f"{kind}, {source}, step {step}", rows)
        for source, rows in (("lisa", "3"), ("refcoco", "2"), ("other rows", "1"))
        for kind in ("IoU", "Score")
        for step in (0, 4)
    ]
    assert html.count('class="card"') == 5  # of both files


def test_each_run_has_its_own_images_with_ids_of_their_own(two_runs, tmp_path):
    from test_report import write_val_file

    val_file = write_val_file(tmp_path / "val.parquet", QUESTIONS)
    for run in two_runs:
        for step in (0, 4):
            write_dump(run, step, [step / 4] * len(QUESTIONS), QUESTIONS)
    assert main(["report", *map(str, two_runs), f"--val-file={val_file}", f"--out={tmp_path / 'c.html'}"]) == 0
    html = (tmp_path / "c.html").read_text()
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count('<details class="samples">') == 2 and html.count("<article") == 16
    assert re.findall(r"<h3>(IoU.*?)</h3>", html) == [f"IoU, {run}, step {step}" for run in "ab" for step in (0, 4)]


def test_tokens_and_adversarial_images_are_in_the_page_as_html(tmp_path):
    import base64

    write_metrics(tmp_path, [record(4, {"critic/score/mean": 1.0})])
    image = base64.b64encode(png(0)).decode()
    tokens = {
        "group": 0,
        "prompt": "p",
        "reward": 1.0,
        "tokens": ["a<b"],
        "score": [0.5],
        "kept": [1.0],
        "entropy": [0.1],
    }
    images = {"prompt": "p", "picture": image, "adversarial_picture": image, "selective_entropy": [0.1, 0.2]}
    images |= {"responses": ["c", "d"], "rewards": [1.0, 0.0]}
    for folder, row in (("tokens", tokens), ("vppo_tokens", tokens), ("adversarial", images)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "4.jsonl").write_text(json.dumps(row) + "\n")
    html = write_report([tmp_path])[0].read_text()
    token = '<span class="token kept" style="--score:50%" title="score 0.500, H 0.100">a&lt;b</span>'
    assert html.count(token) == 2 and html.count("<article") == 3
    assert "&lt;article" not in html and "&lt;span" not in html


def test_long_facts_are_folded(tmp_path):
    write_metrics(tmp_path, [record(4, {"critic/score/mean": 1.0})])
    (tmp_path / "run.json").write_text(json.dumps({"verl": "0.9.1", "command": "python " + "x" * 200}))
    html = write_report([tmp_path])[0].read_text()
    assert f"<details><summary>python {'x' * 30}...</summary>python {'x' * 200}</details>" in html
    assert '<th scope="row">verl</th><td>0.9.1</td>' in html


def test_cards_show_validations_over_time(tmp_path):
    from test_report import write_val_file

    val_file = write_val_file(tmp_path / "val.parquet", QUESTIONS)
    for step in range(0, 60, 10):
        write_dump(tmp_path, step, [step / 100] * len(QUESTIONS), QUESTIONS)
    write_metrics(tmp_path, [record(50, {"critic/score/mean": 1.0})])
    html = write_report([tmp_path], [val_file])[0].read_text()
    assert "0 at step 0, 0.2 at step 20, 0.3 at step 30, 0.5 at step 50" in html  # round(i * 5 / 3) for i in 0…3


def test_more_runs_than_styles_are_refused(tmp_path, capsys):
    folders = [tmp_path / str(number) for number in range(9)]
    assert main(["report", *map(str, folders)]) == 1
    assert "RUN_DIR: got 9 runs, expected at most 8" in capsys.readouterr().err


def test_the_default_file_of_several_runs_is_in_the_working_directory(two_runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write_report([Path("a"), Path("b")])[0] == Path("comparison.html")
    assert write_report([Path("a")])[0] == Path("a/report.html")


# -- meanings ----------------------------------------------------------------------------------------------------------


def recorded_metrics():
    """Names of the methods' metrics in the recorded runs."""
    for path in (ROOT / "benchmarks" / "evidence" / "data").glob("*.metrics.jsonl.xz"):
        for line in lzma.decompress(path.read_bytes()).decode().splitlines():
            yield from json.loads(line)["data"]


def documented_metrics():
    """Names of the metrics in the tables of the methods' pages: whole cells of nothing but names."""
    for path in (ROOT / "docs" / "methods").glob("*.md"):
        for cell in re.findall(r"(?m)^\| ((?:`[^`]+`(?:, )?)+) \|", path.read_text()):
            yield from (name for name in re.findall(r"`([\w/]+)`", cell) if name.startswith(f"{path.stem}/"))


def test_every_metric_of_a_method_is_explained_with_its_unit():
    names = {*recorded_metrics(), *documented_metrics()}
    metrics = {name for name in names if "/" in name and name.partition("/")[0] not in NO_METHODS}
    assert len(metrics) > 30
    assert sorted(name for name in metrics if not meaning_of(name).text or meaning_of(name).unit == "value") == []


def test_an_unknown_metric_has_no_meaning():
    assert meaning_of("vepo/something_kept") == meaning_of("mine/reward_clean") == ("value", "")
    assert meaning_of("saei/reward_clean") == ("mean reward", "Reward, of the responses to the clean image.")
