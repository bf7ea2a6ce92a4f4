"""Rows of a step: their order, whatever the order in which requests ended, and responses of several rows."""

import random

import numpy as np
import pytest
import torch
from transfer_queue import KVBatchMeta

from verl_plugins.components.transfer_queue import labelled_uid, parse_key
from verl_plugins.training.rows import advantage_batch, last_outputs, reward_components, sort_rows

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
    sort_rows(batch, {"another": 0})
    assert batch.keys == keys


def test_prompts_of_a_checkpoint_come_before_those_that_this_run_submitted():
    batch = batch_of(["b_1_0", "old_1_0", "older_0_0", "b_0_0", "old_0_0"])
    sort_rows(batch, {"b": 0})
    assert batch.keys == ["old_0_0", "old_1_0", "older_0_0", "b_0_0", "b_1_0"]


def test_the_last_output_of_a_response_is_found_in_any_order():
    keys = ["a_0_1", "a_0_0", "a_1_0", "b_0_0", "a_0_2", "a~x_0_0"]
    assert last_outputs(keys).tolist() == [4, 4, 2, 3, 4, 5]


def test_each_output_of_a_response_has_the_reward_of_its_last_and_counts_once():
    """As in verl's GRPO, which normalises over responses, not over rows."""
    keys = ["a_0_0", "a_0_1", "a_0_2", "a_1_0"]
    mask = torch.ones(4, 2)
    scores = torch.tensor([[0.0, 0.0], [0.0, 0.3], [0.0, 1.0], [0.0, 0.0]])
    padded = {"advantages": mask, "response_mask": mask, "old_log_probs": -mask, "rm_scores": scores}
    infos = [{"iou": 0.1}, {"iou": 0.2}, {"iou": 0.9}, {"iou": 0.4}]
    batch = advantage_batch(padded, torch.zeros(4).long(), infos, [], {}, last_outputs(keys), "token-mean")
    assert batch.rewards.tolist() == [1, 1, 1, 0]
    assert batch.reward_components["iou"].tolist() == pytest.approx([0.9, 0.9, 0.9, 0.4])
    assert batch.group_std(batch.rewards).tolist() == pytest.approx([0.5**0.5] * 4)  # of 1 and 0


def test_group_std_of_multi_output_responses_is_the_one_that_verl_divides_by():
    from verl.protocol import DataProto
    from verl.trainer.ppo.v1.utils import compute_advantage_for_multi_trajectories

    keys = ["a_0_0", "a_0_1", "a_1_0", "a_2_1", "a_2_0", "b_0_0", "b_1_0", "b_1_1"]
    scores = torch.rand(8, 3, generator=torch.Generator().manual_seed(0))
    groups = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1])
    mask = torch.ones(8, 3)
    data = DataProto.from_dict(
        {"token_level_rewards": scores, "response_mask": mask}, {"uid": [key[0] for key in keys]}
    )
    verls = compute_advantage_for_multi_trajectories(data, keys, "grpo").batch["advantages"][:, 0]
    padded = {"advantages": mask, "response_mask": mask, "old_log_probs": -mask, "rm_scores": scores}
    batch = advantage_batch(padded, groups, [{}] * 8, [], {}, last_outputs(keys), "token-mean")
    means = torch.stack([batch.rewards[torch.tensor(rows)].mean() for rows in ([1, 2, 3], [5, 7])])[groups]
    torch.testing.assert_close((batch.rewards - means) / (batch.group_std(batch.rewards).float() + 1e-6), verls)


def test_a_uid_with_a_label_is_parsed_back():
    assert parse_key(f"{labelled_uid('3f-9a', 'adversarial')}_3_1") == ("3f-9a", "adversarial", 3, 1)
    assert parse_key("3f-9a_0_0") == ("3f-9a", "", 0, 0)


def test_the_parts_of_a_reward_are_all_its_numbers_numpys_included():
    infos = [
        {"iou": np.float32(0.5), "count": np.int64(3), "format": 1, "right": True, "status": "ok", "note": None},
        {"iou": 0.25, "count": "unread", "boxes": [1, 2]},
    ]
    parts = reward_components(infos)
    assert {name: values.tolist() for name, values in parts.items()} == {
        "count": [3.0, 0.0],
        "format": [1.0, 0.0],
        "iou": [0.5, 0.25],
        "right": [1.0, 0.0],
    }
