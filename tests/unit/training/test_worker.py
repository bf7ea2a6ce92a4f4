"""Rows of one length: the nested ``position_ids`` that the TransferQueue makes of them, before and after the repair."""

import pytest
import torch
from tensordict import TensorDict
from verl.utils.tensordict_utils import index_select_tensor_dict, maybe_fix_3d_position_ids
from verl.workers.engine_workers import TrainingWorker

from verl_plugins.training.worker import EntropyTrainingWorker, mend_position_ids


def batch(lengths):
    rows = [torch.arange(4 * length).view(4, length) + 1000 * i for i, length in enumerate(lengths)]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)  # as transfer_queue does
    return rows, TensorDict({"position_ids": nested}, batch_size=[len(rows)])


def selected(data, indices):
    maybe_fix_3d_position_ids(data)  # as verl's worker does first
    return list(index_select_tensor_dict(data, indices)["position_ids"].unbind())


@pytest.mark.parametrize("lengths", [[7, 7, 7], [5, 9, 7], [7]])
def test_rows_come_back_whole(lengths):
    rows, data = batch(lengths)
    order = list(range(len(rows)))[::-1]
    for got, index in zip(selected(mend_position_ids(data), order), order, strict=True):
        assert torch.equal(got, rows[index])


def test_without_the_repair_verl_fails_on_rows_of_one_length():
    # When this test fails, verl or torch has mended it, and worker.py can go.
    rows, data = batch([7, 7, 7])
    with pytest.raises((RuntimeError, AssertionError)):
        selected(data, [2, 1, 0])


def test_other_batches_are_left_alone():
    flat = torch.nested.as_nested_tensor([torch.arange(3), torch.arange(5)], layout=torch.jagged)
    data = TensorDict({"position_ids": flat}, batch_size=[2])
    assert mend_position_ids(data)["position_ids"] is flat
    assert "position_ids" not in mend_position_ids(TensorDict({"input_ids": flat}, batch_size=[2]))


@pytest.mark.parametrize("method", ["infer_batch", "train_mini_batch"])
def test_the_worker_mends_what_verls_gets(method, monkeypatch):
    monkeypatch.setattr(TrainingWorker, method, lambda _, data: selected(data, [2, 1, 0]))
    rows, data = batch([7, 7, 7])
    got = getattr(object.__new__(EntropyTrainingWorker), method)(data)
    assert [row.tolist() for row in got] == [row.tolist() for row in rows[::-1]]
