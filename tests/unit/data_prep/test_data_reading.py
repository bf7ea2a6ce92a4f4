"""Readers of converted files: verl's data set, the library `datasets`, and the commands `inspect` and `check`."""

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_fixtures import HEIGHT, WIDTH, diagram, encoded
from data_sources import GROUNDING, MATHS

from data_prep.__main__ import COMMANDS, main
from data_prep.row.schema import row_schema
from data_prep.synthetic.shapes import main as shapes

ROOT = Path(__file__).parents[3]
BUILDERS = {**GROUNDING, **MATHS}


def _cases(name, images):
    grounding = [(image, f"dog {n}", [10, 20, 30, 40]) for n, image in enumerate(images)]
    maths = [(image, f"How much is {n}?", "5") for n, image in enumerate(images)]
    return grounding if name in GROUNDING else maths


def convert(name, root: Path, images, *options) -> Path:
    """Convert rows with these images; return the only file that is written."""
    argv = [*BUILDERS[name](root / "raw", _cases(name, images)), "--out", str(root / "out"), *options]
    main([*argv, "--processes", "1"])
    (path,) = (root / "out").glob("*.parquet")
    return path


@pytest.fixture(scope="module")
def processor():
    from verl_plugins.demo.tasks import TASKS
    from verl_plugins.demo.tiny_vlm import build_processor

    return build_processor(TASKS["grounding"])


def rlhf_dataset(paths, processor, cache):
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    no_workers = {"filter_overlong_prompts": True, "filter_overlong_prompts_workers": None}
    config = OmegaConf.create({"cache_dir": str(cache), "max_prompt_length": 4096, **no_workers})
    return RLHFDataset([str(path) for path in paths], processor.tokenizer, config, processor)


@pytest.mark.parametrize(
    ("images", "names"), [("embed", list(BUILDERS)), ("path", ["mmk12", "refcoco refer"])], ids=["embed", "path"]
)
def test_verls_own_data_set_reads_every_converters_rows(tmp_path, processor, images, names):
    paths = [
        convert(name, tmp_path / str(n), [encoded(), diagram()], "--images", images) for n, name in enumerate(names)
    ]
    dataset = rlhf_dataset(paths, processor, tmp_path / "cache")
    assert len(dataset) == 2 * len(names)  # concatenated, and none filtered out by an error
    for number in range(len(dataset)):
        row = dataset[number]
        pictures, _ = asyncio.run(dataset.process_vision_info(row["raw_prompt"], 14, dataset.config))
        text = processor.apply_chat_template(row["raw_prompt"], add_generation_prompt=True, tokenize=False)
        inputs = processor(text=[text], images=pictures)
        # 120 x 90 pixels become 112 x 84 (multiples of 28): 8 x 6 patches of 14 pixels
        assert inputs["image_grid_thw"].tolist() == [[1, 6, 8]]
        assert pictures[0].getextrema()[0][1] > 200  # bright, so not black where it was transparent


def test_files_of_different_data_sets_and_splits_concatenate(tmp_path):
    import datasets

    paths = [convert(name, tmp_path / str(n), [encoded()]) for n, name in enumerate(BUILDERS)]
    shapes(["--out", str(tmp_path / "shapes"), "--train", "2", "--val", "1"])
    paths += sorted((tmp_path / "shapes").glob("*.parquet"))
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    assert table.schema.equals(row_schema()) and len(table) == len(BUILDERS) + 3
    loaded = [datasets.load_dataset("parquet", data_files=str(p), cache_dir=tmp_path / "hf")["train"] for p in paths]
    assert len(datasets.concatenate_datasets(loaded)) == len(table)


def test_check_finds_images_that_stand_in_both_in_another_encoding(tmp_path, capsys):
    fast, small = encoded(form="PNG", compress_level=1), encoded(form="PNG", compress_level=9)
    train = convert("refcoco refer", tmp_path / "a", [encoded(shade=1), fast])
    evaluation = convert("mmk12", tmp_path / "b", [small, encoded(shade=2)])
    apart = convert("virl39k", tmp_path / "c", [encoded(shade=3)])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["check", str(train), str(evaluation)])
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert "2 images in" in printed and "1 in both, in 1 rows" in printed and "rows 1-1  and  k0" in printed
    main(["check", str(train), str(apart)])
    assert "0 in both" in capsys.readouterr().out


def test_check_and_inspect_refuse_other_files(tmp_path):
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(SystemExit, match="got columns a, expected the column prompt"):
        main(["inspect", str(other)])
    with pytest.raises(SystemExit, match="expected a column with the bytes of images, got .'a'"):
        main(["check", str(other), str(other)])
    with pytest.raises(SystemExit, match="expected a parquet file"):
        main(["inspect", __file__])


def test_inspect_tells_counts_and_boxes_and_draws_them(tmp_path, capsys):
    path = convert("refcoco refer", tmp_path, [encoded(), encoded(), encoded(shade=9)])
    capsys.readouterr()
    main(["inspect", str(path), "--sample", "2"])
    printed = capsys.readouterr().out
    facts = dict(
        re.split(r"\s{2,}", line, maxsplit=1) for line in printed.splitlines() if re.match(r"[a-z ]+\s{2,}", line)
    )
    assert facts["rows"].startswith("3 in 1 row groups")
    assert facts["distinct images"] == "2, shown by 1 to 2 (median 1.5) rows each"
    assert facts["image width"] == f"{WIDTH} pixels" and facts["image height"] == f"{HEIGHT} pixels"
    assert facts["box width"] == "30 pixels" and facts["box height"] == "40 pixels"
    assert facts["box share of the image"] == "11.1 %"  # 100 * 30 * 40 / (120 * 90)
    page = path.with_suffix(".html").read_text()
    assert page.count("<article>") == 2 and page.count("data:image/jpeg;base64,") == 2
    assert f'viewBox="0 0 {WIDTH} {HEIGHT}"' in page and '<rect x="10.0" y="20.0" width="30.0" height="40.0"/>' in page
    assert "&lt;image&gt;Please provide" in page and not re.search(r'(src|href)="(?!data:)', page)


def test_inspect_of_texts_by_path(tmp_path, capsys):
    path = convert("mmk12", tmp_path, [encoded(), diagram()], "--images", "path")
    main(["inspect", str(path)])
    assert "'5' 2" in capsys.readouterr().out
    page = path.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 and "<rect" not in page.replace("rect {", "")
    for copy in (tmp_path / "out" / "images").iterdir():
        copy.unlink()
    with pytest.raises(SystemExit, match="row k1: cannot read .*: No such file"):
        main(["inspect", str(path)])


def test_the_sample_is_spread_over_the_file(tmp_path):
    from data_prep.convert.parquet_groups import write_parquet
    from data_prep.look.reading import sampled_rows
    from data_prep.synthetic.shapes import unique_rows

    write_parquet(unique_rows(300, "val", 0), tmp_path / "rows.parquet")
    ids = [row["extra_info"]["id"] for row in pq.read_table(tmp_path / "rows.parquet").to_pylist()]
    file = pq.ParquetFile(tmp_path / "rows.parquet")
    assert [row["extra_info"]["id"] for _, row in sampled_rows(file, 3)] == [
        ids[0],
        ids[100],
        ids[200],
    ]
    assert len(list(sampled_rows(file, 500))) == 300


@pytest.mark.slow
def test_ray_data_writes_the_same_bytes(tmp_path):
    images = [encoded(shade=n) for n in range(6)] + [None]
    plain = convert("refcoco refer", tmp_path / "plain", images)
    source = str(tmp_path / "plain" / "raw")
    argv = ["refcoco", "--source", source, "--out", str(tmp_path / "ray"), "--ray"]
    done = subprocess.run(
        [sys.executable, "-m", "data_prep", *argv], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    for name in (plain.name, "rejects.jsonl", "report.json"):
        assert (tmp_path / "ray" / name).read_bytes() == plain.with_name(name).read_bytes()


def test_every_command_has_a_help(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0 and "usage: python -m data_prep" in capsys.readouterr().out


def test_the_list_of_commands_comes_at_once():
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "data_prep", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert all(name in done.stdout for name in COMMANDS) and done.returncode == 0
    assert time.monotonic() - started < 5  # well under a second on an idle machine
    code = "import sys\nfrom data_prep.__main__ import main\ntry:\n    main(['refcoco', '--help'])\n"
    code += "except SystemExit:\n    pass\nloaded = {'pyarrow', 'PIL', 'ray', 'torch', 'tqdm'} & set(sys.modules)\n"
    subprocess.run([sys.executable, "-c", code + "assert not loaded, loaded"], cwd=ROOT, check=True)


def test_reasons_are_told_in_the_table_for_every_reject():
    from data_prep.types import REASONS, RejectedRow, Rejection

    assert json.loads(RejectedRow("train", "x", Rejection("text_only")).line())["reason"] in REASONS
    with pytest.raises(AssertionError):
        Rejection("no such reason")
