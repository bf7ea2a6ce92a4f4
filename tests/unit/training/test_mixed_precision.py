"""FSDP2 in verl's default precision, bf16 with gradients reduced in float32: no method's request changes an update."""

from __future__ import annotations

import json

import gloo_engine_process
import pytest

pytestmark = pytest.mark.slow  # trains in processes of its own


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed_precision")
    gloo_engine_process.run("mixed_precision_run.py", folder)
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


@pytest.mark.parametrize("rank_of", ["1_0", "2_0", "2_1"])
def test_an_attack_as_the_first_forward_leaves_the_update_as_it_was(reports, rank_of):
    report = reports[f"attack_{rank_of}"]
    assert report["rise"] > 0.01
    assert report["unmoved"] == []  # the update trains every weight ...
    assert report["different"] == []  # ... and to the same bits as without an attack


@pytest.mark.parametrize(("trained", "blocks"), [("all", 4), ("frozen", 0), ("lora", 0)])
def test_a_vision_tower_that_is_not_trained_takes_no_part_in_the_backward(reports, trained, blocks):
    report = reports["backward"][trained]
    assert (report["blocks"], report["of"]) == (blocks, 4)
    assert report["with_gradient"] == report["trained"] > 0
