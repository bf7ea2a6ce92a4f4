"""The run report on a small synthetic run whose numbers are known."""

import base64
import io
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from verl_plugins.report.gallery import load_gallery
from verl_plugins.report.metrics import load_metrics, series, spread
from verl_plugins.report.quantities import method_keys, metric_keys
from verl_plugins.report.run_files import grounding_settings, read_config
from verl_plugins.report.run_summary import number
from verl_plugins.report.validation_rows import ValidationRows
from verl_plugins.report.write_report import write_report

COUNT = 10  # validation rows; row i is painted in its own grey
GOLD = "[2, 2, 12, 12]"
ATTACK = "<script>alert('x')</script>"
IOU_KEY = "val-aux/shapes/iou/mean@1"


def grey(index):
    return 20 * index + 10


def png(index):
    buffer = io.BytesIO()
    Image.new("L", (16, 16), grey(index)).convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


def write_val_file(path, questions):
    rows = [
        {
            "prompt": [{"role": "user", "content": f"<image>{question}"}],
            "images": [{"bytes": png(index), "path": f"{index}.png"}],
            "reward_model": {"style": "rule", "ground_truth": GOLD},
            "extra_info": {"question": question},
        }
        for index, question in enumerate(questions)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def write_dump(run_dir, step, ious, questions):
    folder = run_dir / "validation"
    folder.mkdir(exist_ok=True)
    lines = [
        json.dumps(
            {
                "input": f"user\n{question}\nassistant\n",
                "output": f"{ATTACK}<answer>[2, 2, 12, {step}]</answer>",
                "gts": GOLD,
                "score": iou,
                "iou": iou,
                "status": "ok",
                "step": step,
                "uid": f"{step}-{index}_0_0",  # a new one in every dump, as verl does
            }
        )
        for index, (question, iou) in enumerate(zip(questions, ious, strict=True))
    ]
    (folder / f"{step}.jsonl").write_text("\n".join(reversed(lines)) + "\n")


def record(step, data):
    return json.dumps({"step": step, "data": data})


def write_metrics(run_dir, lines):
    (run_dir / "metrics.jsonl").write_text("\n".join(lines))


QUESTIONS = [f"Where is shape number {index}?" for index in range(COUNT)]


@pytest.fixture
def run(tmp_path):
    """Twelve steps: reward = step / 10, entropy = 2, validation at 0, 6 and 12, a torn last line."""
    lines = [record(0, {IOU_KEY: 0.2})]
    for step in range(1, 13):
        data = {"critic/score/mean": step / 10, "actor/entropy": 2.0, "ecvgpo/gated_fraction": 0.5, "timing_s/step": 9}
        if step in (6, 12):
            data[IOU_KEY] = 0.2 + step / 20
        lines.append(record(step, data))
    write_metrics(tmp_path, [*lines, '{"step": 13, "data": {"critic/sc'])
    # Changes in IoU: 0.0, 0.1, … 0.9, so row 9 gains most.
    write_dump(tmp_path, 0, [0.1] * COUNT, QUESTIONS)
    write_dump(tmp_path, 12, [0.1 + index / 10 for index in range(COUNT)], QUESTIONS)
    write_val_file(tmp_path / "val.parquet", QUESTIONS)
    return tmp_path


def report_html(run_dir):
    return write_report([run_dir], [run_dir / "val.parquet"])[0].read_text()


def summary_table(run_dir):
    return write_report([run_dir])[1]


def gallery_of(run_dir, settings=None):
    return load_gallery(run_dir, ValidationRows([run_dir / "val.parquet"]), 12, settings or {})


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_metrics_are_flat_and_in_order(run):
    steps = load_metrics(run / "metrics.jsonl").steps
    assert [row["step"] for row in steps] == list(range(13))
    assert steps[6] == {
        "step": 6,
        "critic/score/mean": 0.6,
        "actor/entropy": 2.0,
        "ecvgpo/gated_fraction": 0.5,
        "timing_s/step": 9,
        IOU_KEY: 0.5,
    }


def test_resume_keeps_training_values_and_the_later_run(tmp_path):
    lines = [record(step, {"reward": step}) for step in (1, 2, 3, 4)]
    # verl resumes at the checkpoint of step 2: validation only, then step 3 anew; step 4 is not reached again
    lines += [record(2, {"iou": 0.5}), record(3, {"reward": 30})]
    write_metrics(tmp_path, lines)
    log = load_metrics(tmp_path / "metrics.jsonl")
    assert log.steps == [{"step": 1, "reward": 1}, {"step": 2, "reward": 2, "iou": 0.5}, {"step": 3, "reward": 30}]
    assert (log.repeated, log.abandoned) == ([2, 3], [4])


def test_unreadable_lines_are_counted(tmp_path):
    write_metrics(tmp_path, [record(1, {"a": 1}), "", "[1]", '{"step": "x", "data": {}}', '{"step": 2, "da'])
    log = load_metrics(tmp_path / "metrics.jsonl")
    assert log.unreadable_lines == 3  # a list, a step that is no number, a torn line; not the blank line
    assert [row["step"] for row in log.steps] == [1]


def test_series_leaves_out_what_is_no_number():
    steps = [{"step": 1, "a": 0.5}, {"step": 2}, {"step": 3, "a": None}, {"step": 4, "a": float("nan")}]
    assert series([*steps, {"step": 5, "a": True}, {"step": 6, "a": 2}], "a") == [(1, 0.5), (6, 2.0)]


def test_missing_and_empty_metrics(tmp_path):
    with pytest.raises(FileNotFoundError, match="got no metrics, expected metrics.jsonl or TensorBoard"):
        write_report([tmp_path])
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "da')
    with pytest.raises(ValueError, match="no metrics record and 1 unreadable"):
        write_report([tmp_path])


# -- summary -----------------------------------------------------------------------------------------------------------


def test_summary_table(run):
    rows = {line[:27].strip(): line[27:].split() for line in summary_table(run).splitlines()}
    # (0.1 + … + 0.5) / 5 = 0.3; (0.8 + … + 1.2) / 5 = 1.0
    assert rows["Reward"] == ["0.3", "1", "+0.7", "1.2", "at", "12", "1–5", "→", "8–12"]
    # three values only: one against one, 0.2 at step 0 and 0.2 + 12/20 at step 12
    assert rows["Validation IoU"] == ["0.2", "0.8", "+0.6", "0.8", "at", "12", "0", "→", "12"]
    assert rows["Policy entropy"] == ["2", "2", "+0", "–", "1–5", "→", "8–12"]
    assert rows["Self-information"] == ["–", "–", "–", "–", "not", "logged"]


def test_summary_of_one_value(tmp_path):
    write_metrics(tmp_path, [record(1, {"critic/score/mean": 1234.5})])
    assert "1,234" in summary_table(tmp_path)
    assert "1 only" in summary_table(tmp_path)


@pytest.mark.parametrize(
    "value, text",
    [(0.123456, "0.1235"), (-12.345, "-12.35"), (123456.0, "123,456"), (1234567.0, "1.235e+06"), (0.0, "0")],
)
def test_number(value, text):
    assert number(value) == text


def test_several_data_sources_are_named(tmp_path):
    write_metrics(tmp_path, [record(0, {"val-aux/a/iou/mean@1": 0.1, "val-core/b/iou/mean@4": 0.2})])
    table = summary_table(tmp_path)
    assert "Validation IoU (a)" in table
    assert "Validation IoU (b)" in table


def test_method_keys_are_those_of_neither_verl_nor_the_main_charts():
    keys = ["actor/pg_loss", "ecvgpo/gate", "ecvgpo/self_information", "mine/x", "rollout_corr/kl", "vepo/js", "loose"]
    assert method_keys(keys) == {"ecvgpo": ["ecvgpo/gate"], "mine": ["mine/x"], "vepo": ["vepo/js"]}
    assert metric_keys([{"step": 1, "b": 1}, {"step": 2, "a": 1}]) == ["a", "b"]


# -- gallery -----------------------------------------------------------------------------------------------------------


def test_spread():
    assert spread(16, 4) == [0, 5, 10, 15]
    assert spread(3, 8) == [0, 1, 2]
    assert spread(0, 8) == []


def test_gallery_is_spread_over_the_change_in_iou(run):
    gallery = gallery_of(run)
    # ten rows, eight ranks: round(i * 9 / 7) for i in 0…7; rank 1 is row 9, whose IoU rises by 0.9
    assert [card.rank for card in gallery.cards] == [1, 2, 4, 5, 6, 7, 9, 10]
    assert [card.question for card in gallery.cards] == [QUESTIONS[10 - rank] for rank in (1, 2, 4, 5, 6, 7, 9, 10)]
    assert gallery.ious == pytest.approx([0.1, 0.55])  # 0.1 + (0 + 0.1 + … + 0.9) / 10
    assert gallery.cards[0].views[0].box == (2, 0, 12, 2)  # [2, 2, 12, 0], corners in order
    assert gallery.cards[0].views[1].box == (2, 2, 12, 12)


def test_boxes_are_read_as_the_runs_reward_read_them(run):
    """Boxes are given in thousandths of an image of 100 x 50 pixels, whose reduced copy is what the file holds."""
    table = pq.read_table(run / "val.parquet").to_pylist()
    for row in table:
        row["extra_info"] |= {"orig_w": 100, "orig_h": 50}
    pq.write_table(pa.Table.from_pylist(table), run / "val.parquet")
    (run / "hydra" / ".hydra").mkdir(parents=True)
    custom = {"path": "pkg://reward_fns.grounding", "reward_kwargs": {"box_space": "0-1000"}}
    config = {"data": {"val_files": str(run / "val.parquet")}, "reward": {"custom_reward_function": custom}}
    (run / "hydra" / ".hydra" / "config.yaml").write_text(json.dumps(config))
    gallery = gallery_of(run, grounding_settings(read_config(run)))
    assert gallery.cards[0].views[-1].box == pytest.approx((0.2, 0.1, 1.2, 0.6))  # [2, 2, 12, 12]
    assert gallery.cards[0].views[-1].true_box == (2, 2, 12, 12) and gallery.cards[0].size == (100, 50)
    assert 'width="100" height="50"' in write_report([run])[0].read_text()
    routed = {"grounding": {"box_space": "0-1"}, "math": {"timeout_s": 1}}
    for path, expected in (
        ("reward_fns/auto.py", (200, 100, 1200, 600)),
        ("pkg://reward_fns.auto", (200, 100, 1200, 600)),
        ("my_own_reward.py", (2, 2, 12, 12)),  # another reward's settings are ignored: pixels
    ):
        config["reward"]["custom_reward_function"] = {"path": path, "reward_kwargs": routed}
        (run / "hydra" / ".hydra" / "config.yaml").write_text(json.dumps(config))
        gallery = gallery_of(run, grounding_settings(read_config(run)))
        assert gallery.cards[0].views[-1].box == pytest.approx(expected)


def test_gallery_leaves_out_ambiguous_rows(run):
    questions = [*QUESTIONS[:8], QUESTIONS[0], "not asked"]  # row 0 twice; 8 and 9 not at all
    write_val_file(run / "val.parquet", questions)
    gallery = gallery_of(run)
    assert (gallery.rows, gallery.matched) == (10, 7)
    assert QUESTIONS[0] not in {card.question for card in gallery.cards}


def test_dumps_of_abandoned_steps_are_not_read(run):
    write_dump(run, 18, [1.0] * COUNT, QUESTIONS)
    assert gallery_of(run).steps == [0, 12]


def test_several_responses_to_a_prompt_count_once(run):
    dump = run / "validation" / "12.jsonl"
    worse = [json.loads(line) | {"iou": 0.0} for line in dump.read_text().splitlines()]
    dump.write_text(dump.read_text() + "\n".join(map(json.dumps, worse)))
    gallery = gallery_of(run)
    assert gallery.rows == 10
    assert gallery.ious[-1] == pytest.approx(0.55)


@pytest.mark.parametrize("dumps, reason", [([], "found 0"), ([0], "found 1"), ([0, 12], "No prompt with a box")])
def test_no_gallery_says_why(tmp_path, dumps, reason):
    write_metrics(tmp_path, [record(12, {"critic/score/mean": 1.0})])
    write_val_file(tmp_path / "val.parquet", QUESTIONS)
    for step in dumps:
        write_dump(tmp_path, step, [None] * COUNT, QUESTIONS)
    assert reason in report_html(tmp_path)


# -- report ------------------------------------------------------------------------------------------------------------


def test_each_card_shows_its_own_picture(run):
    articles = re.findall(r"<article.*?</article>", report_html(run), re.DOTALL)
    assert len(articles) == 8
    for article in articles:
        row = int(re.search(r"shape number (\d)", article).group(1))
        encoded = re.search(r"data:image/png;base64,([^\"]+)", article).group(1)
        with Image.open(io.BytesIO(base64.b64decode(encoded))) as image:
            assert image.getpixel((0, 0)) == (grey(row),) * 3
        assert "IoU 0.10" in article  # before
        assert f"IoU {0.1 + row / 10:.2f}" in article  # after
        assert article.count('class="true-box"') == article.count('class="predicted-box"') == 2
        assert '<path class="true-box" d="M2,2H12V12H2Z"/>' in article


def test_report_shows_the_numbers_and_what_was_wrong_with_the_files(run):
    with (run / "validation" / "0.jsonl").open("a") as file:
        file.write('{"input": "torn')
    html = report_html(run)
    assert "<td>0.3</td><td>1</td><td>+0.7</td><td>1.2 at 12</td><td>1–5 → 8–12</td>" in html
    assert "Unreadable lines in metrics.jsonl, skipped: 1." in html
    assert "Unreadable lines in the validation dumps, skipped: 1." in html
    assert "Method: ecvgpo" in html
    assert (
        "Not logged: Training accuracy, Validation accuracy, Self-information, Groups without an "
        "advantage, Reward std in a group, Responses in a group, Not scored, Gradient norm, Rollout against actor."
        in html
    )


def test_report_escapes_everything_that_comes_from_data(run):
    (run / "run.json").write_text(json.dumps({"title": f"T{ATTACK}", "method": f"M{ATTACK}"}))
    lines = (run / "metrics.jsonl").read_text().splitlines()
    write_metrics(run, [*lines[:-1], record(13, {f"mine/{ATTACK}": 1.0})])
    question = f"{QUESTIONS[0]}{ATTACK}"
    write_dump(run, 0, [0.1], [question])
    write_dump(run, 12, [0.1], [question])
    write_val_file(run / "val.parquet", [question])
    html = report_html(run)
    assert html.count("<script") == html.count("</script") == 2  # the values of the charts, and the page's own
    assert html.count("&lt;script&gt;alert") >= 6  # title twice, method, metric, question, two responses
    assert "mine/\\u003cscript" in html  # in the values


def test_report_is_self_contained_and_its_pictures_are_well_formed(run):
    html = report_html(run)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|\ssrc=|<link|@import|url\(|fetch\(|import\(", html)
    assert "default-src 'none'" in html
    pictures = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(pictures) == 2 + 16 + 5 + 4  # legend, two views of eight cards, charts, histograms
    for picture in pictures:
        root = ElementTree.fromstring(picture)
        assert root.get("aria-hidden") or (root.find("title") is not None and root.find("desc") is not None)
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))


def test_values_that_are_no_number_are_named(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    write_metrics(run, [*lines[:-1], record(13, {"actor/grad_norm": 1.5}), record(14, {"actor/grad_norm": None})])
    html = report_html(run)
    assert "Not a number at step 14." in html
    assert "Last: 1.5 at step 13." in html


def test_run_facts_and_output_path(run, tmp_path):
    (run / "run.json").write_text(json.dumps({"title": "A run", "verl": "0.9.1"}))
    out, _ = write_report([run], [run / "val.parquet"], tmp_path / "other.html")
    assert out == tmp_path / "other.html"
    assert "<h1>A run</h1>" in out.read_text()
    assert '<th scope="row">verl</th><td>0.9.1</td>' in out.read_text()
    (run / "run.json").write_text("[]")
    html = report_html(run)
    assert "expected an object of strings" in html and "run.json, which cannot be read" in html


def test_large_pictures_are_reduced_and_boxes_keep_their_pixels(run):
    image = io.BytesIO()
    Image.new("RGBA", (2000, 1000), "red").save(image, "PNG")
    table = pq.read_table(run / "val.parquet").to_pylist()
    for row in table:
        row["images"][0]["bytes"] = image.getvalue()
    pq.write_table(pa.Table.from_pylist(table), run / "val.parquet")
    html = report_html(run)
    with Image.open(io.BytesIO(base64.b64decode(re.search(r"jpeg;base64,([^\"]+)", html).group(1)))) as embedded:
        assert embedded.size == (768, 384)
    assert 'width="2000" height="1000"' in html


def test_monitor_imports_no_heavy_library():
    code = """if True:
        import sys
        import verl_plugins.report.write_report
        print(sorted({"torch", "verl", "ray", "vllm"} & sys.modules.keys()))"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
