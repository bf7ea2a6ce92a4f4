"""Columns of the batch reach an estimator on verl's V1 trainer, which passes it rewards, mask and groups alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transfer_queue as tq
from omegaconf import OmegaConf
from tensordict import NonTensorStack, TensorDict
from verl.trainer.ppo.core_algos import register_adv_est
from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

from verl_plugins.compose import compose_run
from verl_plugins.preflight import check_run
from verl_plugins.training.extra_fields import ESTIMATOR, ExtraFields, fetch

LENGTHS, PROMPT = (2, 3, 1, 2), 4
INFOS = [{"format": 1.0, "iou": iou} for iou in (0.9, 0.1, 0.5, 0.7)]


def nested(rows):
    return torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)


@pytest.fixture
def queue(monkeypatch):
    """A TransferQueue of four rows, which leaves out the columns that it does not have."""
    columns = {
        "uid": NonTensorStack(*"aabb"),
        "extra_fields": NonTensorStack(*({"reward_extra_info": info} for info in INFOS)),
        "response_mask": nested(torch.ones(length) for length in LENGTHS),
        "rm_scores": nested(torch.zeros(length).index_fill(0, torch.tensor(length - 1), 1) for length in LENGTHS),
        "entropy": nested(torch.arange(length) + 0.5 for length in LENGTHS),
        "old_log_probs": nested(-torch.ones(length) for length in LENGTHS),
        "log_probs": nested(torch.arange(PROMPT + length).float() for length in LENGTHS),
    }
    data = TensorDict(columns, batch_size=4)

    def get(keys, partition_id, select_fields):
        return data.select(*(name for name in select_fields if name in data))

    def put(keys, partition_id, fields):
        data.update(fields)
        return tq.KVBatchMeta(partition_id=partition_id, keys=keys, tags=[{}] * len(keys))

    monkeypatch.setattr(tq, "kv_batch_get", get)
    monkeypatch.setattr(tq, "kv_batch_put", put)
    return data


BATCH = tq.KVBatchMeta(partition_id="train", keys=[f"{uid}_{i}_0" for i, uid in enumerate("aabb")], tags=[{}] * 4)


def compute(estimator, names=()):
    """Run verl's stage with the estimator and the columns, as the trainer does."""
    overrides = ["+method=grpo", f"algorithm.adv_estimator={estimator}", "+algorithm.gdpo_reward_keys=[format,iou]"]
    config = compose_run([*overrides, *([f"algorithm.extra_fields=[{','.join(names)}]"] if names else [])])
    OmegaConf.set_struct(config, False)
    columns = ExtraFields(config)
    trainer = SimpleNamespace(config=config)
    with columns.of(BATCH):
        PPOTrainerSync._compute_advantage(trainer, BATCH, {})


def test_columns_are_cut_to_the_response_and_values_of_the_reward_are_arrays(queue):
    columns = fetch(BATCH, ["entropy", "log_probs", "iou"])
    assert columns["entropy"].tolist() == [[0.5, 1.5, 0], [0.5, 1.5, 2.5], [0.5, 0, 0], [0.5, 1.5, 0]]
    assert columns["log_probs"][1].tolist() == [3, 4, 5]  # at the token before each token of the response
    np.testing.assert_array_equal(columns["iou"], [0.9, 0.1, 0.5, 0.7])
    with pytest.raises(ValueError, match="confidence: got no such column, expected one number per response token"):
        fetch(BATCH, ["iou", "confidence"])


def test_a_value_that_some_rows_lack_is_not_taken_for_zero(queue, monkeypatch):
    monkeypatch.delitem(INFOS[2], "iou")
    with pytest.raises(ValueError, match="got iou from the reward of 3 rows, and none for 1, expected it for each"):
        fetch(BATCH, ["iou"])


def test_an_estimator_of_ones_own_gets_what_it_names(queue):
    seen = {}

    @register_adv_est("weighs_by_entropy")
    def estimate(token_level_rewards, response_mask, index, config, entropy, iou):
        seen.update(entropy=entropy, iou=iou, index=index)
        return token_level_rewards.sum(dim=1, keepdim=True) * entropy, token_level_rewards

    with pytest.raises(TypeError, match="entropy"):  # on verl alone
        compute("weighs_by_entropy")
    compute("weighs_by_entropy", ["entropy", "iou"])
    assert [row.tolist() for row in queue["advantages"].unbind()] == [[0.5, 1.5], [0.5, 1.5, 2.5], [0.5], [0.5, 1.5]]
    assert seen["iou"].tolist() == [0.9, 0.1, 0.5, 0.7] and list(seen["index"]) == list("aabb")


def test_verls_gdpo_normalises_the_parts_of_the_reward(queue):
    with pytest.raises(KeyError, match="prompts"):  # on verl alone
        compute("gdpo")
    compute("gdpo", ["format", "iou"])
    first = torch.stack([row[0] for row in queue["advantages"].unbind()])
    # format is the same everywhere; iou is higher in the first and in the last row of the two groups
    assert first[0] > 0 > first[1] and first[3] > 0 > first[2]


def test_columns_for_an_estimator_that_takes_none_are_refused(tmp_path):
    fields = "algorithm.extra_fields=[entropy]"
    for method in ("grpo", "vepo"):
        problems = check_run(compose_run([f"+method={method}", fields]))
        assert any(
            "adv_estimator: got" in line and "takes the columns of algorithm.extra_f" in line for line in problems
        )
    problems = check_run(compose_run(["+method=grpo", fields, "algorithm.adv_estimator=my_own"]))
    assert not any("adv_estimator" in line for line in problems)


def test_a_run_without_the_setting_keeps_its_estimator():
    config = compose_run(["+method=grpo"])
    assert ExtraFields(config).names == [] and config.algorithm.adv_estimator == "grpo" != ESTIMATOR
