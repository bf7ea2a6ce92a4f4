"""A batch whose rows all have one length, which verl alone splits in the wrong dimension (see worker.py)."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytestmark = pytest.mark.slow


def test_one_prompt_and_answers_cut_to_one_length_can_be_trained_on(train, demo_assets, tmp_path):
    first = pq.read_table(demo_assets[1] / "train.parquet").slice(0, 1)
    file = tmp_path / "one_row.parquet"
    pq.write_table(pa.concat_tables([first] * 8), file)
    cut = "data.max_response_length=8"  # an answer takes twelve tokens
    metrics = train("run", "ecvgpo", 1, f"data.train_files={file}", f"data.val_files={file}", cut)[1]
    for name in ("prompt_length", "response_length"):
        assert metrics[f"{name}/min"] == metrics[f"{name}/max"], name
    assert metrics["response_length/max"] == 8
    assert metrics["ecvgpo/zero_variance_groups"] == 1.0  # no answer is complete, so none is rewarded
    assert metrics["actor/grad_norm"] == 0.0
