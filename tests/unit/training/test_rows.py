"""Rows of a step: their order, whatever the order in which requests ended."""

import random

import pytest
from transfer_queue import KVBatchMeta

from verl_plugins.components.transfer_queue import labelled_uid, parse_key
from verl_plugins.training.rows import sort_rows

SORTED = ["b_0_0", "b_2_0", "b_2_1", "b_10_0", "b~adversarial_0_0", "b~adversarial_1_0", "a_0_0", "a~adversarial_0_0"]


def batch_of(keys):
    return KVBatchMeta(keys=list(keys), tags=[{"key": key} for key in keys], partition_id="train")


@pytest.mark.parametrize("seed", range(5))
def test_rows_are_sorted_by_prompt_sampling_response_and_output(seed):
    batch = batch_of(random.Random(seed).sample(SORTED, len(SORTED)))
    sort_rows(batch, {"b": 0, "a": 1})  # prompts in the order of the data loader
    assert batch.keys == SORTED
    assert [tag["key"] for tag in batch.tags] == SORTED


def test_rows_that_verl_replays_from_a_file_stay_in_their_order():
    keys = ["b_1_0", "unknown_0_0", "b_0_0"]
    batch = batch_of(keys)
    sort_rows(batch, {"b": 0})
    assert batch.keys == keys


def test_a_uid_with_a_label_is_parsed_back():
    assert parse_key(f"{labelled_uid('3f-9a', 'adversarial')}_3_1") == ("3f-9a", "adversarial", 3, 1)
    assert parse_key("3f-9a_0_0") == ("3f-9a", "", 0, 0)
