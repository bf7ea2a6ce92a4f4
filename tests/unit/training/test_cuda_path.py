"""The engine's two hooks on a pretended GPU (``tests/support/cuda_engine.py``) give the numbers of the CPU."""

from __future__ import annotations

import pytest
import tiny_families
import torch
from bare_engine import bare_engine
from cuda_engine import batch_on_the_host, engine_on_gpu, run_attack, run_counterfactual, tiny_model, verl_runs_on
from pretended_cuda import DEVICE, pretended_cuda

from verl_plugins.components import counterfactual
from verl_plugins.vision.layout import layout_of
from verl_plugins.vision.perturb import PERTURBATIONS, perturb

pytestmark = pytest.mark.usefixtures("one_thread")
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
PACKING = pytest.mark.parametrize("packed", [False, True], ids=["padded", "packed"])
FAMILIES = pytest.mark.parametrize("family", tiny_families.FAMILIES)

# Largest error in bfloat16, about three times what was measured: absolute, and a share of the signal's largest value.
BFLOAT16_ERROR = {
    "log_probs": (0.08, 0),
    "entropy": (0.08, 0),
    "perturbed_entropy": (0.08, 0),
    "jsd": (3e-4, 0.03),
    "kl": (1.2e-3, 0.03),
}


@pytest.fixture(scope="module")
def expected():
    """Return what the hooks compute on the CPU, in float32 and on padded rows; computed before a test patches the
    models."""
    results = {}
    for family in tiny_families.FAMILIES:
        engine = bare_engine(*tiny_model(family), micro_batch_size=2)
        with verl_runs_on("cpu"):
            results["counterfactual", family] = run_counterfactual(engine, batch_on_the_host(family, (1, 1, 0, 1)))
            results["attack", family] = run_attack(engine, batch_on_the_host(family))
            random = run_attack(engine, batch_on_the_host(family), direction="random")
            results["random attack", family] = random
    return results


@FAMILIES
@PACKING
@DTYPES
def test_counterfactual_forward_gives_the_numbers_of_the_cpu(monkeypatch, expected, family, packed, dtype):
    data = batch_on_the_host(family, (1, 1, 0, 1), packed=packed)
    with engine_on_gpu(monkeypatch, family, dtype) as gpu:
        outcome = run_counterfactual(gpu.engine, data)
        assert {values.device for values in outcome.values()} == {DEVICE}
        outcome = {name: values.inner for name, values in outcome.items()}
    assert gpu.flash.seen == {"causal", "full"}
    for name, wanted in expected["counterfactual", family].items():
        if dtype == torch.float32:
            torch.testing.assert_close(outcome[name], wanted, rtol=1e-4, atol=1e-6)
        else:
            absolute, share = BFLOAT16_ERROR[name]
            assert (outcome[name] - wanted).abs().max() < absolute + share * wanted.max(), name
    assert expected["counterfactual", family]["jsd"].max() > 5e-4  # the image matters: the comparison means something


@FAMILIES
@PACKING
@DTYPES
def test_attack_gives_the_pictures_of_the_cpu(monkeypatch, expected, family, packed, dtype):
    data = batch_on_the_host(family, packed=packed)
    with engine_on_gpu(monkeypatch, family, dtype, backward=True, checkpointing=packed) as gpu:
        outcome = run_attack(gpu.engine, data)
    assert gpu.flash.seen == {"causal", "full"}
    assert gpu.cuda.numbers_drawn_on_host == 0
    assert {values.device.type for values in outcome.values()} == {"cpu"}
    wanted = expected["attack", family]
    same = (outcome["pixels"] == wanted["pixels"]).float().mean()
    before, after, change = (outcome["statistics"] - wanted["statistics"]).abs().amax(dim=0)
    if dtype == torch.float32:
        assert same > 0.999  # the rest: pixels whose gradient is rounding
        assert max(before, after, change) < 1e-4
    else:  # measured: 0.988, 0.016, 0.012 and 0.0006
        assert same > 0.9
        assert before < 0.08 and after < 0.08 and change < 0.002
    assert (outcome["statistics"][:, 1] > outcome["statistics"][:, 0]).all()


@FAMILIES
def test_attack_measures_the_entropies_of_the_cpu_under_autocast(monkeypatch, expected, family):
    """Random signs, hence forwards alone: ``autocast("cuda")`` casts only where no backward runs."""
    data = batch_on_the_host(family, packed=True)
    with engine_on_gpu(monkeypatch, family, torch.bfloat16) as gpu:
        outcome = run_attack(gpu.engine, data, direction="random")
    wanted = expected["random attack", family]
    assert torch.equal(outcome["pixels"], wanted["pixels"])
    torch.testing.assert_close(outcome["statistics"], wanted["statistics"], rtol=0, atol=0.08)


def test_counterfactual_forward_draws_its_noise_on_the_device(monkeypatch):
    perturbed = []

    def record(inputs, *rest):
        perturbed.append(inputs["pixel_values"].device)
        return perturb(inputs, *rest)

    monkeypatch.setattr(counterfactual, "perturb", record)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3") as gpu:
        run_counterfactual(gpu.engine, data)
    assert perturbed == [DEVICE] * 2  # an image for each prompt
    assert gpu.cuda.numbers_drawn_on_host == 0


@pytest.mark.parametrize("kind", PERTURBATIONS)
@pytest.mark.parametrize("family", ["qwen2_5_vl", "internvl3"])  # a layout of pixel_values each
def test_perturbations_stay_on_the_device(family, kind):
    inputs = batch_on_the_host(family)["multi_modal_inputs"][0]
    settings = layout_of(tiny_model(family)[1]), kind, PERTURBATIONS[kind].default, (3, 5, "0")
    with pretended_cuda() as cuda:
        moved = {**inputs, "pixel_values": inputs["pixel_values"].to("cuda")}
        outcome = perturb(moved, *settings)["pixel_values"]
    assert outcome.device == DEVICE
    assert cuda.numbers_drawn_on_host == 0
    torch.testing.assert_close(outcome.inner, perturb(inputs, *settings)["pixel_values"], rtol=0, atol=0)
