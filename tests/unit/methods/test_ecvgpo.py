"""ECVGPO's mathematics against values worked out by hand (arXiv 2512.06726; A' = max(A / l0, A - S / r0))."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from verl_plugins.methods.batch import AdvantageBatch, group_std
from verl_plugins.methods.ecvgpo.apply import apply
from verl_plugins.methods.ecvgpo.maths import ECVGPOConfig, reshape_advantages
from verl_plugins.methods.knobs import config_from_node

ON = torch.tensor([0.05])  # a group std below the default delta of 0.1


def reshape(advantages, log_probs, std=ON, mask=None, **knobs):
    advantages = torch.tensor([advantages])
    mask = torch.ones_like(advantages) if mask is None else torch.tensor([mask])
    return reshape_advantages(advantages, torch.tensor([log_probs]), std, mask, ECVGPOConfig(**knobs))[0].tolist()


def test_positive_r0_takes_credit_from_surprising_tokens():
    # S = 1, 4: 0.8 - 1/10 = 0.7, 0.8 - 4/10 = 0.4; the floor 0.8/25 = 0.032 is far below.
    assert reshape([0.8, 0.8], [-1.0, -4.0]) == pytest.approx([0.7, 0.4])


def test_floor_keeps_the_sign():
    # S = 9: 0.8 - 0.9 = -0.1 < 0.8/25 = 0.032.  S = 7.68: 0.8 - 0.768 = 0.032, the floor itself.
    assert reshape([0.8, 0.8], [-9.0, -7.68]) == pytest.approx([0.032, 0.032])


def test_negative_r0_gives_credit_to_surprising_tokens_and_never_hits_the_floor():
    # 0.8 + 5/50 = 0.9 and 0.8 + 0/50 = 0.8.
    assert reshape([0.8, 0.8], [-5.0, 0.0], r0=-50) == pytest.approx([0.9, 0.8])


def test_l0_sets_the_floor():
    assert reshape([1.0], [-100.0], l0=4) == pytest.approx([0.25])


def test_negative_and_zero_advantages_stay():
    assert reshape([-0.8, 0.0], [-3.0, -3.0]) == [pytest.approx(-0.8), 0.0]


@pytest.mark.parametrize(
    ("std", "gate", "reshaped"),
    [
        (0.0999, "below", True),
        (0.1, "below", False),  # std < delta is strict
        (0.1, "above", True),
        (0.0999, "above", False),
        (math.nan, "below", False),  # a singleton has no std
        (math.nan, "above", False),
        (0.0, "below", False),  # equal rewards: the advantage is rounding noise
    ],
)
def test_gate(std, gate, reshaped):
    out = reshape([0.8], [-1.0], std=torch.tensor([std], dtype=torch.float64), gate=gate)
    assert out == pytest.approx([0.7 if reshaped else 0.8])


def test_gate_is_per_response():
    advantages = torch.full((2, 1), 0.8)
    std = torch.tensor([0.05, 0.5])
    out = reshape_advantages(advantages, -torch.ones(2, 1), std, torch.ones(2, 1), ECVGPOConfig())
    assert out[:, 0].tolist() == pytest.approx([0.7, 0.8])


def test_outside_the_mask_nothing_changes_whatever_stands_there():
    # Padding may hold anything as log-probability: NaN must not leak out.
    assert reshape([0.8, 0.5], [-1.0, math.nan], mask=[1.0, 0.0]) == pytest.approx([0.7, 0.5])


def test_empty_mask_returns_the_input():
    assert reshape([0.8, 0.8], [-1.0, -1.0], mask=[0.0, 0.0]) == pytest.approx([0.8, 0.8])


def test_delta_zero_returns_the_very_bits():
    torch.manual_seed(0)
    advantages, log_probs = torch.randn(16, 9), -torch.rand(16, 9) * 8
    out = reshape_advantages(advantages, log_probs, torch.rand(16), torch.ones(16, 9), ECVGPOConfig(delta=0.0))
    assert torch.equal(out, advantages)


def test_no_gradient_flows_through_the_self_information():
    log_probs = torch.full((1, 1), -1.0, requires_grad=True)
    out = reshape_advantages(torch.tensor([[0.8]]), log_probs, ON, torch.ones(1, 1), ECVGPOConfig())
    assert not out.requires_grad


def test_dtype_of_the_advantages_is_kept():
    std = torch.tensor([0.05], dtype=torch.float64)
    advantages = torch.tensor([[0.8]], dtype=torch.float32)
    out = reshape_advantages(advantages, torch.tensor([[-1.0]]).double(), std, torch.ones(1, 1), ECVGPOConfig())
    assert out.dtype == torch.float32


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 3), (2, 4), (2,), (2, 3)), "expected one shape"),
        (((2, 3), (2, 3), (3,), (2, 3)), "group_reward_std"),
        (((3,), (3,), (3,), (3,)), "expected one shape"),
    ],
)
def test_shapes_that_do_not_agree_are_refused(shapes, message):
    with pytest.raises(ValueError, match=message):
        reshape_advantages(*(torch.zeros(shape) for shape in shapes), ECVGPOConfig())


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("r0", 0), ("r0", math.inf), ("r0", math.nan), ("r0", "ten"), ("r0", True),
        ("l0", 0.5), ("l0", -1), ("delta", -0.1), ("delta", None), ("delta", math.nan),
        ("gate", "beside"), ("gate_on", ""), ("gate_on", 3),
    ],
)  # fmt: skip
def test_bad_knobs_are_refused_by_name(knob, value):
    with pytest.raises(
        ValueError, match=rf"algorithm\.ecvgpo\.{knob}: got .* expected .*; set algorithm\.ecvgpo\.{knob}"
    ):
        ECVGPOConfig(**{knob: value})


def test_unknown_knob_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="algorithm.ecvgpo.r_0: unknown setting, expected one of r0, l0, delta"):
        config_from_node(ECVGPOConfig, {"r_0": 10}, "algorithm.ecvgpo")


# ---------------------------------------------------------------------------------------------------- group statistics


def test_group_std_by_hand():
    # Group 0: 0, 0.5, 1 -> mean 0.5, variance (0.25 + 0 + 0.25) / 2.  Group 1: one value.  Group 2: equal values.
    values = torch.tensor([0.0, 0.7, 0.5, 0.1, 1.0, 0.1])
    std = group_std(values, torch.tensor([0, 1, 0, 2, 0, 2]))
    assert std.tolist() == pytest.approx([0.5, math.nan, 0.5, 0.0, 0.5, 0.0], nan_ok=True)


def test_group_std_of_equal_rewards_is_exactly_zero():
    # Ten times 0.1 add up to 0.9999999999999999, so their mean is not 0.1; the std must still be 0 and not 1e-17.
    values = torch.full((10,), 0.1, dtype=torch.float64)
    assert group_std(values, torch.zeros(10, dtype=torch.int64)).tolist() == [0.0] * 10


def test_group_std_equals_verls():
    torch.manual_seed(1)
    values = torch.rand(8)
    assert group_std(values, torch.zeros(8, dtype=torch.int64))[0].item() == pytest.approx(values.std().item())


# ------------------------------------------------------------------------------------------------------- whole batches


def make_batch(**changes) -> AdvantageBatch:
    """Prompt 1: rewards 1.00, 1.08 (std 0.0566, gate open); prompt 0: 0, 1 (std 0.707, closed); the last row pads."""
    batch = {
        "advantages": torch.tensor([[-0.7, -0.7], [0.7, 0.7], [-0.7, 0.0], [0.7, 0.7], [0.0, 0.0]]),
        "response_mask": torch.tensor([[1, 1], [1, 1], [1, 0], [1, 1], [0, 0]]),
        "old_log_probs": torch.tensor([[-1.0, -2.0], [-1.0, -8.0], [-3.0, -99.0], [-0.5, -0.5], [-99.0, -99.0]]),
        "rewards": torch.tensor([1.0, 1.08, 0.0, 1.0, 0.0]),
        "groups": torch.tensor([1, 1, 0, 0, 2]),
    }
    return AdvantageBatch(**(batch | changes))


def test_apply_reshapes_only_the_good_response_behind_the_gate():
    advantages, _ = apply(make_batch(), ECVGPOConfig())
    # Row 1: 0.7 - 1/10 = 0.6; 0.7 - 8/10 < 0.7/25 = 0.028.
    expected = torch.tensor([[-0.7, -0.7], [0.6, 0.028], [-0.7, 0.0], [0.7, 0.7], [0.0, 0.0]])
    torch.testing.assert_close(advantages, expected)


def test_metrics_by_hand():
    entropy = torch.full((5, 2), 0.25)
    _, metrics = apply(make_batch(entropy=entropy), ECVGPOConfig())
    assert metrics == pytest.approx(
        {
            "ecvgpo/gated_groups": 1 / 2,  # of two prompts; the padding is none
            "ecvgpo/group_reward_std": (0.08 / math.sqrt(2) + 1 / math.sqrt(2)) / 2,
            "ecvgpo/reshaped_tokens": 2 / 7,
            "ecvgpo/floor_hits": 1 / 2,
            "ecvgpo/self_information": (1 + 2 + 1 + 8 + 3 + 0.5 + 0.5) / 7,
            "ecvgpo/self_information_kept": (1 + 2 + 3 + 0.5 + 0.5) / 5,
            "ecvgpo/self_information_reshaped": (1 + 8) / 2,
            "ecvgpo/advantage_before": 0.7,
            "ecvgpo/advantage_after": (0.6 + 0.028) / 2,
            "ecvgpo/policy_entropy": 0.25,
        },
        rel=1e-6,
    )


def test_metrics_over_nothing_are_left_out_and_never_nan():
    _, metrics = apply(make_batch(), ECVGPOConfig(delta=0.0))
    assert metrics["ecvgpo/reshaped_tokens"] == 0.0
    assert "ecvgpo/self_information_reshaped" not in metrics
    assert all(math.isfinite(value) for value in metrics.values())


def test_a_batch_of_padding_has_no_metrics():
    batch = make_batch(response_mask=torch.zeros(5, 2, dtype=torch.int64))
    advantages, metrics = apply(batch, ECVGPOConfig())
    assert torch.equal(advantages, batch.advantages)
    assert metrics == {}


def test_zero_variance_groups_are_left_alone():
    batch = make_batch(rewards=torch.tensor([0.5, 0.5, 0.0, 1.0, 0.0]), advantages=torch.full((5, 2), 1e-3))
    advantages, metrics = apply(batch, ECVGPOConfig(r0=-50))
    assert torch.equal(advantages, batch.advantages)
    assert metrics["ecvgpo/reshaped_tokens"] == 0


def test_gate_on_a_component():
    # The components' std is 0.5 in group 1 and 0.0141 in group 0: the gates swap.
    iou = torch.tensor([0.0, 0.7071, 0.50, 0.52, 0.0])
    advantages, _ = apply(make_batch(reward_components={"iou": iou}), ECVGPOConfig(gate_on="iou"))
    # Row 3: 0.7 - 0.5/10 = 0.65.
    expected = torch.tensor([[-0.7, -0.7], [0.7, 0.7], [-0.7, 0.0], [0.65, 0.65], [0.0, 0.0]])
    torch.testing.assert_close(advantages, expected)


def test_gate_on_an_unknown_component_names_the_known_ones():
    with pytest.raises(
        ValueError, match=r"gate_on: got 'giou', expected one of total, iou; set algorithm.ecvgpo.gate_on"
    ):
        apply(make_batch(reward_components={"iou": torch.zeros(5)}), ECVGPOConfig(gate_on="giou"))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), r0=st.sampled_from([10.0, -50.0, 0.5]), gate=st.sampled_from(["below", "above"]))
def test_order_and_padding_of_the_rows_do_not_matter(seed, r0, gate):
    generator = torch.Generator().manual_seed(seed)
    rows, tokens = 12, 5
    batch = AdvantageBatch(
        advantages=torch.randn(rows, tokens, generator=generator),
        response_mask=(torch.rand(rows, tokens, generator=generator) > 0.3).long(),
        old_log_probs=-torch.rand(rows, tokens, generator=generator) * 9,
        rewards=torch.rand(rows, generator=generator) * 0.3,
        groups=torch.randint(0, 4, (rows,), generator=generator),
    )
    config = ECVGPOConfig(r0=r0, gate=gate)
    expected, metrics = apply(batch, config)

    order = torch.randperm(rows, generator=generator)
    pad = torch.zeros(3, tokens + 2)

    def shuffle_and_pad(values):
        if values.dim() == 1:
            return torch.cat([values[order], values.new_full((3,), 9 if values.dtype == torch.int64 else 0)])
        wider = torch.nn.functional.pad(values[order], (0, 2))
        return torch.cat([wider, pad.to(values.dtype)])

    names = ("advantages", "response_mask", "old_log_probs", "rewards", "groups")
    shuffled = AdvantageBatch(**{name: shuffle_and_pad(getattr(batch, name)) for name in names})
    actual, shuffled_metrics = apply(shuffled, config)
    assert torch.equal(actual[:rows, :tokens], expected[order])
    assert shuffled_metrics == pytest.approx(metrics, rel=1e-5, abs=1e-7)
