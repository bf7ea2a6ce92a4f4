"""Sampled rows as the run's model will see them: lengths, and every kind of row that cannot be trained on."""

from __future__ import annotations

from copy import deepcopy

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.convert.parquet_groups import write_parquet
from data_prep.look.reading import sampled_rows
from data_prep.synthetic.shapes import make_row
from verl_plugins.compose import compose_run
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.doctor.overrides import check_overrides
from verl_plugins.doctor.sampled_rows import Reader
from verl_plugins.preflight.installation import WITHOUT_FLASH_ATTN


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    build_tiny_vlm(path, TASKS["grounding"])
    return path


def write(path, rows, group=3):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=group)
    return path


def good_rows(count):
    return [make_row(number, "train", 0) for number in range(count)]


def run_on(model, path, *overrides):
    run = ["+method=grpo", "actor_rollout_ref.rollout.n=2", f"actor_rollout_ref.model.path={model}"]
    run += [f"data.train_files={path}", f"data.val_files={path}", "data.image_patch_size=14"]
    run += [*WITHOUT_FLASH_ATTN.split(), "data.max_prompt_length=200"]
    run += ["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=1", "actor_rollout_ref.rollout.name=vllm"]
    run += ["actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=1", "data.train_batch_size=2"]
    run += ["actor_rollout_ref.actor.ppo_mini_batch_size=2", "trainer.n_gpus_per_node=2"]
    run += ["reward.custom_reward_function.path=pkg://reward_fns.auto"]
    return [*run, *overrides]


def test_good_rows_are_measured(model, tmp_path):
    path = write(tmp_path / "rows.parquet", good_rows(5))
    rows = Reader(compose_run(run_on(model, path))).read(path)
    assert rows.problems == {}
    assert (rows.sampled, rows.of, len(rows.prompts)) == (5, 5, 5)
    assert set(rows.images) == {16}  # 112 x 112 pixels: 8 x 8 patches of 14, four to a token
    assert "5 of 5 rows: prompts of" in str(rows) and "images of 16 to 16" in str(rows)


def test_each_kind_of_bad_row_is_counted_and_the_first_named(model, tmp_path):
    rows = good_rows(6)
    rows[1]["prompt"][0]["content"] += "<image>"  # a tag without an image
    rows[2]["images"][0]["bytes"] = b"no image"
    rows[3]["images"][0]["bytes"] = b"no image either"
    rows[4]["prompt"][0]["content"] += " red" * 300
    rows[5]["prompt"][0]["content"] += "<|image_pad|>"
    path = write(tmp_path / "rows.parquet", rows)
    problems = Reader(compose_run(run_on(model, path))).read(path).problems
    result = {message.split(":")[0]: place for message, place in problems.items()}
    assert result.pop("AssertionError") == (1, 1)
    assert result.pop("UnidentifiedImageError") == (2, 2)
    assert result.pop("longer than data.max_prompt_length=200") == (4, 1)
    assert any(first == 5 for first, _ in result.values()), problems


def test_rows_are_taken_from_the_whole_file(tmp_path):
    path = write(tmp_path / "many.parquet", [{"number": number} for number in range(1000)], group=64)
    result = list(sampled_rows(pq.ParquetFile(path), 10))
    assert result == [(number, {"number": number}) for number in range(0, 1000, 100)]
    assert len(list(sampled_rows(pq.ParquetFile(path), 2000))) == 1000


def test_the_doctor_prints_it(model, tmp_path):
    rows = good_rows(3)
    rows[2]["prompt"][0]["content"] += " red" * 300
    path = write(tmp_path / "rows.parquet", rows)
    lines = [str(check) for check in check_overrides(run_on(model, path))]
    assert any(line.startswith(f"ok    data.train_files {path}: 3 of 3 rows: prompts of") for line in lines), lines
    bad = f"FAIL  data.train_files {path}: got 1 rows, the first row 2: longer than data.max_prompt_length=200"
    assert any(line.startswith(bad) for line in lines)
    lines = [str(c) for c in check_overrides(run_on(model, path, "data.image_patch_size=16"))]
    assert "FAIL  patch size: got 16, expected 14, the processor's; set data.image_patch_size" in lines
    lines = [str(check) for check in check_overrides(run_on(tmp_path / "none", path))]
    assert any(line.startswith("FAIL  model: got") for line in lines)


def test_rows_with_paths_in_place_of_bytes_are_read_as_verl_reads_them(model, tmp_path):
    embedded = good_rows(4)
    by_path = deepcopy(embedded)
    for number, row in enumerate(by_path):
        file = tmp_path / f"{number}.png"
        file.write_bytes(row["images"][0]["bytes"])
        row["images"] = [{"bytes": None, "path": str(file)}]
    by_path[3]["images"][0]["path"] = str(tmp_path / "gone.png")
    files = [tmp_path / "embedded.parquet", tmp_path / "paths.parquet"]
    for file, rows in zip(files, (embedded, by_path), strict=True):
        write_parquet(rows, file)
    reader = Reader(compose_run(run_on(model, files[1])))
    first, second = map(reader.read, files)
    assert (second.prompts, second.images) == (first.prompts[:3], first.images[:3])
    assert [(row, count) for row, count in second.problems.values()] == [(3, 1)] and "gone.png" in str(second.problems)
