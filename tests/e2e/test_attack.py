"""The attack on the demo's trained model: the gradient raises the entropy of every prompt, random signs do not."""

import sys

import pytest
import torch
from bare_engine import bare_engine, sampled_rows, worker_batch
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
from verl.utils import tensordict_utils as tu

from verl_plugins.components.requests import REQUEST
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import STATISTICS

pytestmark = pytest.mark.slow

PROMPTS, RESPONSES = 40, 4


def test_one_step_raises_the_entropy_of_at_least_95_in_100_prompts(demo_assets, monkeypatch):
    for name in ("methods.saei.attack", "methods.saei.attacked_images"):
        monkeypatch.setattr(sys.modules[f"verl_plugins.{name}"], "get_device_id", lambda: "cpu")
    model_dir, data_dir = demo_assets
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(model_dir, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(model_dir)
    data = worker_batch(sampled_rows(model, processor, data_dir / "val.parquet", PROMPTS, RESPONSES), processor)

    def rise(**settings):
        """Return by prompt the mean entropy of its responses' kept tokens, in nats."""
        asked = data.clone(recurse=False)
        tu.assign_non_tensor(asked, **{REQUEST: AttackRequest(SaEIConfig(**settings), seed=0, step=1)})
        with torch.no_grad():
            output = bare_engine(model, processor, 32).forward_backward_batch(asked, None, forward_only=True)
        before, after, change = output["model_output"][STATISTICS].double().unbind(dim=1)
        assert change.mean() > 1.5
        return (after - before).view(PROMPTS, RESPONSES).mean(dim=1)

    along, random = rise(), rise(direction="random")
    assert (along > 0).double().mean() >= 0.95
    assert (random > 0).double().mean() < 0.8
    assert random.mean().abs() < 0.1 * along.mean()
