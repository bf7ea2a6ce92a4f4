"""Rows of every converter and form, in one run in bf16: verl validates on them, VEPO and SaEI train on all of them."""

import distinct_characters
import pyarrow.parquet as pq
import pytest
from data_fixtures import diagram, encoded
from data_sources import GROUNDING, MATHS
from precision import BF16, BF16_DISTANCE

from data_prep.__main__ import main

pytestmark = pytest.mark.slow

ROWS = 2  # of each form


def _converted(root):
    """The files of every form: a photograph, and a transparent diagram."""
    files = []
    for form, build in {**GROUNDING, **MATHS}.items():
        question, answer = ("dog", [10, 20, 30, 40]) if form in GROUNDING else ("How much is it?", "5")
        cases = [(image, f"{question} {n}", answer) for n, image in enumerate([encoded(), diagram()])]
        out = root / form.replace(" ", "-") / "out"
        main([*build(out.parent / "raw", cases), "--out", str(out), "--processes", "1"])
        files += out.glob("*.parquet")
    return files


def test_every_data_sets_rows_are_validated_and_trained_on(train, tmp_path):
    files = _converted(tmp_path / "data")
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    sources = {row for file in files for row in pq.read_table(file)["data_source"].to_pylist()}
    assert rows == ROWS * len({**GROUNDING, **MATHS}) and len(sources) == 11
    listed = f"[{','.join(map(str, files))}]"
    metrics = train(
        "run",
        "[vepo,saei]",
        2,
        *BF16,
        f"data.train_files={listed}",
        f"data.val_files={listed}",
        f"data.train_batch_size={rows}",
        "data.max_prompt_length=768",
        "data.max_response_length=16",
        "algorithm.saei.n1=1",
        "algorithm.saei.n2=1",
        "actor_rollout_ref.rollout.n=2",
        "actor_rollout_ref.rollout.calculate_log_probs=true",
        "actor_rollout_ref.rollout.max_model_len=1024",
        f"actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu={rows}",
        f"actor_rollout_ref.actor.ppo_mini_batch_size={rows}",
        f"actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu={rows}",
        f"reward.custom_reward_function.path={distinct_characters.__file__}",
        "trainer.val_before_train=true",
    )
    for source in sources:
        assert any(name.startswith(f"val-core/{source}/") for name in metrics[0]), source
    for step in (1, 2):
        assert metrics[step]["prompt_length/max"] < 768  # no row was cut
        assert metrics[step]["actor/grad_norm"] > 0.0
        assert metrics[step]["saei/prompts_without_image"] == metrics[step]["vepo/rows_without_image"] == 0
        assert metrics[step]["vepo/jsd"] > 0.0 and metrics[step]["saei/pixel_change"] > 1.0
    # Conditioned on the clean image, the adversarial responses are off-policy, and the log says by how much.
    clean, adversarial = (
        [metrics[step][f"saei/log_prob_mismatch_{half}"] for step in (1, 2)] for half in ("clean", "adversarial")
    )
    assert max(clean) < 2 * BF16_DISTANCE and sum(adversarial) > 4 * sum(clean)  # these rows are foreign to the start
