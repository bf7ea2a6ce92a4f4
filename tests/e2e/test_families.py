"""Each family of models through all three methods, two updates, a checkpoint, and back into transformers."""

import json
import subprocess
import sys

import distinct_characters
import pytest
import tiny_families
import torch
from transformers import AutoModelForImageTextToText

pytestmark = pytest.mark.slow

INTERNVL = [
    "actor_rollout_ref.model._target_=verl_plugins.internvl.InternVLModelConfig",
    "+data.mm_processor_kwargs.crop_to_patches=false",
]
FAMILIES = {"qwen2_5_vl": [], "qwen3_vl": [], "internvl3": INTERNVL}
BANNED = {
    "qwen2_5_vl": 2,
    "qwen3_vl": 2,
    "internvl3": 1,
}  # tokens that stand for images and videos, which are never sampled


@pytest.mark.parametrize("family", FAMILIES)
def test_two_updates_with_all_methods_and_the_checkpoint_in_transformers(family, train, tmp_path):
    tiny_families.build(family, tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    ban = BANNED[family] / config["text_config"]["vocab_size"]  # what these tokens take of a nearly uniform policy
    metrics = train(
        "run",
        "[ecvgpo,vepo,saei]",
        2,
        *FAMILIES[family],
        f"actor_rollout_ref.model.path={tmp_path / 'model'}",
        f"reward.custom_reward_function.path={distinct_characters.__file__}",
        "actor_rollout_ref.rollout.calculate_log_probs=true",
        "algorithm.saei.update=adversarial",  # then the actor sees what the rollout engine saw
        "trainer.save_freq=2",
    )
    for step in (1, 2):
        # The rollout engine's log-probabilities are the actor's but for the ban, on clean and on adversarial images.
        for half in ("clean", "adversarial"):
            assert metrics[step][f"saei/log_prob_mismatch_{half}"] == pytest.approx(ban, rel=0.1)
        assert metrics[step]["saei/prompts_without_image"] == 0 and metrics[step]["vepo/rows_without_image"] == 0
        assert metrics[step]["saei/pixel_change"] > 1.0
        assert metrics[step]["vepo/jsd"] > 0.0 and metrics[step]["actor/grad_norm"] > 0.0

    actor = tmp_path / "run" / "checkpoints" / "global_step_2" / "actor"
    merged = tmp_path / "merged"
    command = ["-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    command += [f"--local_dir={actor}", f"--target_dir={merged}", "--use_cpu_initialization"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    trained, exported, before = (
        AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        for folder in (merged, actor / "huggingface", tmp_path / "model")
    )
    for parameter in exported.parameters():  # verl's merge command writes bfloat16
        parameter.data = parameter.data.bfloat16().float()
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        logits, same, old = (model(input_ids=ids).logits for model in (trained, exported, before))
    assert torch.equal(logits, same) and not torch.equal(logits, old)
    assert json.loads((actor / "huggingface" / "config.json").read_text())["model_type"] == trained.config.model_type
