"""A run's data files, and as many responses as the methods but SaEI are tested with."""

import pytest
from checked_run import ENOUGH, IMAGE, write_parquet


@pytest.fixture
def data(tmp_path):
    path = write_parquet(tmp_path / "rows.parquet", [[IMAGE]] * ENOUGH)
    return [f"data.train_files={path}", f"data.val_files={path}", "actor_rollout_ref.rollout.n=8"]
