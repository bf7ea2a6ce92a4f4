"""Synthetic grounding rows have one schema, one answer to each question, and boxes that fit the painted pixels."""

import io
import json
import subprocess
import sys
import time
from itertools import combinations, pairwise
from random import Random

import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageChops

from data_prep.convert.parquet_groups import write_parquet
from data_prep.row.schema import ROWS_PER_GROUP, row_schema
from data_prep.synthetic.scenes import COLOURS, OTHER_SHADES, SIDE, STEP, ColouredShape, overlap, paint
from data_prep.synthetic.shapes import (
    MORE_SHAPES,
    OTHER_REQUESTS,
    OTHER_SIZES,
    SIZES,
    describe,
    main,
    make_row,
    make_scene,
    unique_rows,
)

SPLITS = ("warmup", "train", "val", "ood")


def _decode(row) -> Image.Image:
    return Image.open(io.BytesIO(row["images"][0]["bytes"]))


def test_a_row_depends_on_its_index_its_split_and_its_seed_only():
    assert make_row(5, "train", 0) == make_row(5, "train", 0)
    images = [make_row(i, split, seed)["images"][0]["bytes"] for i in (0, 1) for split in SPLITS for seed in (0, 1)]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("split", SPLITS)
def test_the_box_is_inside_the_image_and_tight_around_the_target(split):
    for index in range(40):
        target, *others = make_scene(index, split, seed=3)
        row = make_row(index, split, seed=3)
        box = tuple(json.loads(row["reward_model"]["ground_truth"]))
        assert box == target.box
        assert 0 <= box[0] < box[2] <= SIDE and 0 <= box[1] < box[3] <= SIDE
        assert all(edge % STEP == 0 for edge in box)
        image = _decode(row)
        assert (image.mode, image.size) == ("RGB", (SIDE, SIDE))
        shades = OTHER_SHADES if split == "ood" else COLOURS
        colour = Image.new("RGB", image.size, shades[target.colour])
        differs = ImageChops.difference(image, colour).convert("L").point(lambda value: 255 * (value > 0))
        for other in others:  # paint over what may share the target's colour
            differs.paste(255, other.box)
        assert ImageChops.invert(differs).getbbox() == box  # getbbox is half-open too


def test_shapes_do_not_overlap_and_only_the_question_tells_which_is_meant():
    twins = pivots = 0
    for index in range(400):
        target, *others = make_scene(index, "train", seed=0)
        twins += len(others) == 3
        assert any(shape.colour == target.colour or shape.kind == target.kind for shape in others)
        shares_both = {shape.colour for shape in others} >= {target.colour} and target.kind in {s.kind for s in others}
        pivots += shares_both and len(others) == 2
        assert not any(overlap(a.box, b.box) for a, b in combinations([target, *others], 2))
    assert 20 < twins < 60  # a tenth of 400 is 40
    assert 90 < pivots < 150  # a third of the other 360: the pivot is the target as often as the two others
    assert all(len(make_scene(index, "warmup", seed=0)) == 3 for index in range(50))


@pytest.mark.parametrize("split", SPLITS)
def test_the_prompt_shows_one_image_and_asks_for_the_answer_form(split):
    for index in range(50):
        row = make_row(index, split, seed=0)
        (message,) = row["prompt"]
        assert message["role"] == "user"
        assert message["content"] == "<image>" + row["extra_info"]["question"]
        assert message["content"].count("<image>") == len(row["images"]) == 1
        assert "<answer>[x1, y1, x2, y2]</answer>" in message["content"]


def test_rows_out_of_the_domain_differ_in_shapes_sizes_shades_and_words():
    for index in range(60):
        scene, row = make_scene(index, "ood", seed=0), make_row(index, "ood", seed=0)
        assert len(scene) in (3 + MORE_SHAPES, 4 + MORE_SHAPES)
        looks = [(shape.colour, shape.kind) for shape in scene]
        assert looks.count(looks[0]) <= 2 and looks[0] not in looks[-MORE_SHAPES:]
        assert {shape.box[2] - shape.box[0] for shape in scene} <= {*OTHER_SIZES["small"], *OTHER_SIZES["large"]}
        wordings = [request.partition("{target}") for request in OTHER_REQUESTS]
        question = row["extra_info"]["question"]
        assert any(before in question and after in question for before, _, after in wordings)
    assert not {*OTHER_SIZES["small"], *OTHER_SIZES["large"]} & {*SIZES["small"], *SIZES["large"]}
    assert OTHER_SHADES.keys() == COLOURS.keys() and not {*OTHER_SHADES.values()} & {*COLOURS.values()}


def test_an_expression_names_what_only_the_target_has():
    target = ColouredShape("red", "circle", "small", (0, 0, 28, 28))
    right = ColouredShape("red", "circle", "small", (56, 0, 84, 28))
    larger_below = ColouredShape("red", "circle", "large", (0, 28, 56, 84))
    other_kind = ColouredShape("red", "square", "small", (28, 0, 56, 28))

    def forms(*others):
        return {describe([target, *others], Random(seed)) for seed in range(60)}

    assert forms(other_kind) == {"the red circle"}
    assert forms(right) == {"the red circle on the left"}  # same size, same row: only the side tells them apart
    assert forms(larger_below) == {"the small red circle", "the red circle at the top"}


def test_question_lengths_vary_so_that_no_batch_has_one_length():
    lengths = [len(make_row(index, "train", seed=0)["extra_info"]["question"].split()) for index in range(256)]
    shares = [lengths.count(length) / len(lengths) for length in set(lengths)]
    assert sum(share**4 for share in shares) < 0.005  # the chance that four prompts drawn at random are equally long


def test_val_rows_are_told_apart_by_prompt_and_ground_truth():
    rows = list(unique_rows(2000, "val", seed=0))
    keys = {(row["prompt"][0]["content"], row["reward_model"]["ground_truth"]) for row in rows}
    assert len(rows) == len(keys) == 2000
    indices = [row["extra_info"]["index"] for row in rows]
    assert all(a < b for a, b in pairwise(indices))


def test_the_command_writes_both_splits_in_the_explicit_schema(tmp_path, capsys):
    main(["--out", str(tmp_path), "--train", "130", "--val", "3", "--seed", "1"])
    train, val = (pq.ParquetFile(tmp_path / f"{split}.parquet") for split in ("train", "val"))
    assert train.schema_arrow.equals(row_schema()) and val.schema_arrow.equals(row_schema())
    assert [train.metadata.row_group(i).num_rows for i in range(train.num_row_groups)] == [ROWS_PER_GROUP, 2]
    assert val.read().to_pylist() == list(unique_rows(3, "val", seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["train.parquet", "val.parquet"]
    assert "wrote 130 train, 3 val rows" in capsys.readouterr().out
    main(["--out", str(tmp_path / "more"), "--train", "1", "--val", "1", "--ood", "2"])
    assert pq.read_table(tmp_path / "more" / "ood.parquet").to_pylist() == list(unique_rows(2, "ood", seed=0))


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet([make_row(0, "val", 0)], path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="colour"):
        write_parquet([make_row(1, "val", 0), {**make_row(2, "val", 0), "colour": "red"}], path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_command_line_starts_without_torch_verl_pyarrow_or_pil():
    probe = (
        "import runpy, sys\n"
        "sys.argv = ['data_prep', 'shapes', '--help']\n"
        "try:\n    runpy.run_module('data_prep', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "loaded = {'torch', 'verl', 'pyarrow', 'PIL'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", probe], check=True, capture_output=True)
    assert time.monotonic() - started < 5  # on an idle machine well under a second


def test_painting_depends_on_the_generator_only():
    shapes = make_scene(0, "train", seed=0)
    assert paint(shapes, Random(1)) == paint(shapes, Random(1)) != paint(shapes, Random(2))
