"""verl's own soft-overlong penalty beside this package's rewards, with the overrides of docs/rewards.md."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from verl_plugins.compose import compose_run

PAGE = Path(__file__).parents[3] / "docs" / "rewards.md"


class Tokenizer:
    """Decodes every response to the same text."""

    def decode(self, ids, skip_special_tokens):
        return "<think>so</think> \\boxed{7}"


def scored(config, length):
    """Return the score of a response of `length` tokens, padded to 40, through verl's reward manager."""
    from verl import DataProto
    from verl.trainer.ppo.reward import load_reward_manager

    manager = load_reward_manager(config, Tokenizer())
    mask = (torch.arange(40) < length).long()[None]
    data = DataProto.from_dict(
        tensors={"responses": torch.ones(1, 40, dtype=torch.long), "attention_mask": torch.cat([mask[:, :3], mask], 1)},
        non_tensors={
            "data_source": np.array(["mmk12"], dtype=object),
            "reward_model": np.array([{"ground_truth": "7"}], dtype=object),
            "extra_info": np.array([{}], dtype=object),
            "multi_modal_data": np.array([{"images": ["an image"]}], dtype=object),
        },
    )
    return asyncio.get_event_loop().run_until_complete(manager.run_single(data))


# 32 tokens at most, of which the last 16 are the buffer: 0 at 16, -(24 - 16)/16 = -0.5 at 24, -1 at 32
@pytest.mark.parametrize(("length", "penalty"), [(8, 0.0), (16, 0.0), (24, -0.5), (32, -1.0)])
def test_the_overrides_of_the_page_take_off_what_is_too_long(length, penalty):
    block = PAGE.read_text().partition("DAPO's soft-overlong penalty")[2].partition("\n\n    ")[2].partition("\n\n")[0]
    overrides = [line.split(" #")[0].strip().replace('"', "") for line in block.splitlines()]
    assert len(overrides) == 3
    numbers = {"2048": "32", "512": "16"}
    overrides = [re.sub(r"\b(2048|512)\b", lambda match: numbers[match[0]], override) for override in overrides]
    config = compose_run(["reward.custom_reward_function.path=pkg://reward_fns.math", *overrides])
    result = scored(config, length)
    assert float(result["reward_score"]) == 1.0 + penalty
    assert result["reward_extra_info"]["accuracy"] == 1.0
