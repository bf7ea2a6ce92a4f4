"""A tensor that the hooks leave on the host, or a number that they read too often, is found on the pretended GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from cuda_engine import batch_on_the_host, engine_on_gpu, run_attack, run_counterfactual, tiny_model
from pretended_cuda import DifferentiableTensor

import verl_plugins
from verl_plugins.components import counterfactual, hidden_states
from verl_plugins.components.hidden_states import Predictions
from verl_plugins.kernels.divergence import Divergence
from verl_plugins.methods.saei import attack as adversarial
from verl_plugins.methods.saei.attacked_images import AttackedImages

PACKAGE = str(Path(verl_plugins.__file__).parent)
pytestmark = pytest.mark.usefixtures("one_thread")


# A tensor that an edit could forget to move, by what it does to a function's result or arguments.


def change_result(owner, name, change):
    def plant(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: change(original(*args)))

    return plant


def change_arguments(owner, name, change):
    def plant(monkeypatch):
        original = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: original(*change(*args)))

    return plant


def leave_on_the_host(field):
    """Plant a CPU tensor in a field of ``Predictions``."""
    return change_result(Predictions, "of", lambda at: dataclasses.replace(at, **{field: getattr(at, field).cpu()}))


COUNTERFACTUAL_FAULTS = {
    "temperature": leave_on_the_host("temperature"),
    "labels": leave_on_the_host("labels"),
    "hidden states": change_arguments(
        counterfactual, "project_and_compare", lambda head, clean, *rest: (head, clean.cpu(), *rest)
    ),
    "perturbed logits": change_arguments(
        counterfactual, "divergence", lambda logits, perturbed: (logits, perturbed.cpu())
    ),
    "divergences": change_result(counterfactual, "divergence", lambda outcome: Divergence(*(x.cpu() for x in outcome))),
}
ATTACK_FAULTS = {
    "temperature": leave_on_the_host("temperature"),
    "rows": leave_on_the_host("rows"),
    "noise": change_result(adversarial, "_noise", lambda noise: noise.cpu()),
    "mask": change_arguments(adversarial, "select_tokens", lambda entropy, mask, *rest: (entropy, mask.cpu(), *rest)),
    "selected tokens": change_result(adversarial, "select_tokens", lambda selected: selected.cpu()),
    "weight": change_arguments(
        adversarial,
        "entropy_and_gradient",
        lambda *args: args if len(args) < 4 or args[3] is None else (*args[:3], args[3].cpu()),
    ),
    "gradient on the device": change_arguments(
        AttackedImages, "add_gradient", lambda images, uids, gradient: (images, uids, gradient.to("cuda"))
    ),
    "nothing brought back": lambda monkeypatch: monkeypatch.setattr(DifferentiableTensor, "cpu", lambda self: self),
}


def is_refused():
    return pytest.raises(
        (RuntimeError, ValueError), match="on the same device|indices should be|cannot be accessed from Triton"
    )


@pytest.mark.parametrize("fault", COUNTERFACTUAL_FAULTS)
def test_a_tensor_that_the_counterfactual_forward_forgets_to_move_is_found(monkeypatch, fault):
    COUNTERFACTUAL_FAULTS[fault](monkeypatch)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3") as gpu, is_refused():
        run_counterfactual(gpu.engine, data)


@pytest.mark.parametrize("fault", ATTACK_FAULTS)
def test_a_tensor_that_the_attack_forgets_to_move_is_found(monkeypatch, fault):
    ATTACK_FAULTS[fault](monkeypatch)
    data = batch_on_the_host("internvl3")
    with engine_on_gpu(monkeypatch, "internvl3", backward=True) as gpu, is_refused():
        run_attack(gpu.engine, data, band="random")


# Host synchronisations. Indices on the host are no error on a GPU, but they cost one.

SHORT, LONG = (6, 9, 4, 1), (18, 27, 12, 3)


def synchronisations(monkeypatch, hook, lengths):
    """(all of one call's, those of this package's own lines), projecting three tokens at a time."""
    data = batch_on_the_host("internvl3", lengths=lengths)
    monkeypatch.setattr(hidden_states, "CHUNK", 3 * tiny_model("internvl3")[0].lm_head.out_features)
    with engine_on_gpu(monkeypatch, "internvl3", backward=hook is run_attack) as gpu:
        if hook is run_attack:
            monkeypatch.setattr(hidden_states, "CHUNK", 4 * hidden_states.CHUNK)  # of which it takes a quarter
            hook(gpu.engine, data, band="random")
            assert gpu.cuda.numbers_drawn_on_host == 2 * sum(lengths)  # ``_noise``, before and after the step
        else:
            hook(gpu.engine, data)
    every = gpu.cuda.synchronisations
    return every, [sync for sync in every if sync.file.startswith(PACKAGE) and not sync.in_backward]


def test_synchronisations_of_the_counterfactual_forward(monkeypatch):
    """Count the synchronisations allowed in a micro-batch: the number of response tokens, the temperature, whether it
    is 1, and each prompt's image on its way down.
    """
    (short, own), (long, _) = (synchronisations(monkeypatch, run_counterfactual, n) for n in (SHORT, LONG))
    assert len(own) <= 3 + 2, own
    assert not any(sync.operator.startswith("index") for sync in own)
    assert len(long) == len(short)


def test_synchronisations_of_the_attack(monkeypatch):
    """Count the synchronisations allowed in each run of a micro-batch: the number of response tokens, the temperature,
    noise for the band "random", what ``selected`` picks of rows, states and temperatures, and the entropies on their
    way up; with a gradient also the states for its hook, and the gradient on its way up.
    """
    (short, own), (long, _) = (synchronisations(monkeypatch, run_attack, n) for n in (SHORT, LONG))
    assert len(own) <= 2 * (9 + 7), own  # two micro-batches of two rows, before the step and after
    assert len(long) == len(short)


@pytest.mark.parametrize("field", ["positions", "packed"])
def test_an_index_left_on_the_host_costs_synchronisations(monkeypatch, field):
    leave_on_the_host(field)(monkeypatch)
    _, own = synchronisations(monkeypatch, run_counterfactual, SHORT)
    assert any(sync.operator.startswith("index") for sync in own)


@pytest.mark.parametrize("hook", [run_counterfactual, run_attack])
def test_a_number_read_for_each_token_is_found(monkeypatch, hook):
    def read_each(outcome):
        [value.item() for value in (outcome.jsd if hook is run_counterfactual else outcome)]
        return outcome

    owner, name = (counterfactual, "divergence") if hook is run_counterfactual else (adversarial, "token_entropy")
    change_result(owner, name, read_each)(monkeypatch)
    (short, _), (long, _) = (synchronisations(monkeypatch, hook, n) for n in (SHORT, LONG))
    assert len(long) > len(short)
