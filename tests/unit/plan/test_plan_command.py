"""``verl-plugins plan``: the ways to name a run, the verdict's wording, and what is proposed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from verl_plugins import cli
from verl_plugins.cli import main
from verl_plugins.compose import compose_run
from verl_plugins.plan import print_plan
from verl_plugins.plan.advice import USABLE, Machines, advice, changes, fits
from verl_plugins.plan.memory import plan
from verl_plugins.plan.planned_config import planned_config
from verl_plugins.plan.precision import BF16_WEIGHTS, STOCHASTIC_ROUNDING, frozen_from, lost_updates
from verl_plugins.plan.shape import shape_of
from verl_plugins.plan.tensor_parallelism import KEY as TP
from verl_plugins.plan.tensor_parallelism import check_tensor_parallelism, sizes
from verl_plugins.plan.workload import GIB, Workload, workload_of

ROOT = Path(__file__).parents[3]
MODEL = "actor_rollout_ref.model.path=Qwen/Qwen2.5-VL-3B-Instruct"
ROW = ["data.max_prompt_length=2048", "data.max_response_length=2048", "actor_rollout_ref.rollout.max_model_len=4096"]
RUN = [
    "+method=vepo", MODEL, *ROW, f"{TP}=1", "actor_rollout_ref.actor.strategy=fsdp2",
    "actor_rollout_ref.actor.use_dynamic_bsz=true", "actor_rollout_ref.rollout.log_prob_use_dynamic_bsz=true",
]  # fmt: skip


@pytest.fixture
def plan_run(capsys):
    def run(*words):
        code = main(["plan", *words])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def planned(monkeypatch):
    """Return what the command line comes to: words, GPUs, nodes, memory and host memory."""
    seen = []
    monkeypatch.setattr(print_plan, "run_plan", lambda *arguments: seen.append(arguments) or 0)

    def run(*words):
        assert main(["plan", *words]) == 0
        return seen[-1]

    return run


@pytest.mark.parametrize(
    "line",
    [
        "--gpus 2 --memory 40 a=1 b=2 c=3",
        "a=1 --gpus 2 b=2 --memory 40 c=3",
        "a=1 b=2 c=3 --gpus 2 --memory 40",
        "--gpus 2 a=1 b=2 --memory 40 -- c=3",
        "--gpus 2 --memory 40 -- a=1 b=2 c=3",
    ],
)
def test_options_stand_before_between_or_after_the_overrides(planned, line):
    assert planned(*line.split()) == (["a=1", "b=2", "c=3"], 2, None, 40, None)


def test_a_command_with_options_of_its_own_stands_behind_two_dashes(planned, capsys):
    command = ["python", "-m", "verl.trainer.main_ppo", "a=1"]
    assert planned("--gpus", "2", "--", *command)[0] == command
    assert planned("x=1", "--gpus", "2", "--", *command)[0] == ["x=1", *command]
    with pytest.raises(SystemExit) as end:
        main(["plan", "--gpus", "2", *command])
    assert end.value.code == 2
    assert "unrecognized arguments: -m; put -- before a command" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    [
        "plan a=1 --gpu-memory 40",  # no such option
        "plan a=1 --gpus",
        "plan a=1 --gpus many",
        "methods vepo saei",  # one method, and no overrides
        "report run --outt page.html",
    ],
)
def test_what_is_no_override_stays_an_error(line, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(line.split())
    assert end.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_a_command_and_its_overrides_are_the_same_run():
    overrides = ["+method=vepo", "data.train_batch_size=7", "trainer.n_gpus_per_node=4", "trainer.nnodes=2"]
    command = ["python3", "-m", "verl.trainer.main_ppo", *overrides]
    assert planned_config(command, None, None) == planned_config(overrides, None, None)
    trainer = planned_config(overrides, None, None)[1].trainer
    assert (trainer.n_gpus_per_node, trainer.nnodes) == (4, 2)  # the run's own
    trainer = planned_config(overrides, 2, 1)[1].trainer
    assert (trainer.n_gpus_per_node, trainer.nnodes) == (2, 1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "run: got nothing, expected a recipe"),
        (["recipes/none.sh", "a=1"], "recipe: got recipes/none.sh, expected a file that exists"),
        (["a=1", "recipes/run.sh"], "run: got recipes/run.sh among overrides, expected KEY=VALUE"),
        (["trainer.gpus=8"], "overrides: got trainer.gpus=8, expected a key that the config has"),
        (["+method=vpeo"], "overrides: got Could not find 'method/vpeo', expected one of ecvgpo"),
    ],
)
def test_a_run_that_cannot_be_read_is_one_error(words, message):
    with pytest.raises(ValueError, match=message) as error:
        planned_config(words, None, None)
    assert "\n" not in str(error.value)


def test_a_script_without_a_dry_run_trains_nothing(tmp_path):
    script = tmp_path / "train.sh"
    script.write_text(f'echo "$@" >{tmp_path}/seen\n')  # in the place of verl.trainer.main_ppo
    with pytest.raises(ValueError, match="got no config from DRY_RUN=1 .*, expected YAML"):
        planned_config([str(script), "a=1"], 4, None)
    # verl's own command line ends at an option that it does not know
    assert (tmp_path / "seen").read_text() == "a=1 trainer.n_gpus_per_node=4 --all\n"


@pytest.mark.parametrize(
    "option",
    [
        *(f"{name} {value}" for name in ("--gpus", "--nodes") for value in ("0", "-3", "1.5", "many")),
        *(f"{name} {v}" for name in ("--memory", "--host-memory") for v in ("0", "-5", "nan", "inf", "1e308", "x")),
    ],
)
def test_a_size_that_is_none_is_told_by_its_option(option, capsys):
    with pytest.raises(SystemExit) as end:
        main(["plan", "a=1", *option.split()])
    assert end.value.code == 2
    name, value = option.split()
    assert f"argument {name}: got {value}, expected " in capsys.readouterr().err


def test_the_doctors_gpus_are_at_least_one(capsys):
    with pytest.raises(SystemExit):
        main(["doctor", "--gpus", "-3"])
    assert "argument --gpus: got -3, expected a whole number >= 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "override",
    [
        f"{TP}=0",
        "data.max_prompt_length=null",
        "actor_rollout_ref.rollout.gpu_memory_utilization=null",
        "+data.mm_processor_kwargs.max_pixels=abc",
        "trainer.test_freq=null",
        "actor_rollout_ref.model.lora_rank=-1",
        "algorithm.vepo.alpha=7",
    ],
)
def test_a_value_that_no_plan_can_be_made_of_is_one_line(plan_run, override):
    code, out = plan_run(*RUN, override)
    key = override.lstrip("+").partition("=")[0]
    assert code == 1 and len(out.splitlines()) == 1
    assert out.startswith(f"verl-plugins: {key}: got ") and out.rstrip().endswith(f"set {key}")


def test_the_verdict_has_one_wording_of_three(plan_run):
    verdicts = ("fits as it is: ", "fits with these overrides: ", "does not fit: ")

    def verdict(*words):
        code, out = plan_run(*RUN, *words)
        (line,) = [line for line in out.splitlines() if line.startswith(verdicts)]
        assert out.count("fit") == 1, out
        assert "is kept as a reserve" in out
        return code, line, out

    code, line, out = verdict("--gpus", "8", "--memory", "80")
    assert code == 0 and line.startswith("fits as it is: ") and "of 76.0 usable of 80 GiB" in line
    assert "5% of a GPU, 4.0 GiB, is kept as a reserve" in out
    code, line, out = verdict("--gpus", "1", "--memory", "80")
    assert code == 1 and line.startswith("fits with these overrides: ")
    assert "  actor_rollout_ref.actor.fsdp_config.optimizer_offload=true" in out.splitlines()
    code, line, out = verdict("--gpus", "1", "--memory", "24")
    assert code == 1 and line == "does not fit: take more or larger GPUs, or LoRA"
    assert "nor with these overrides (the largest phase takes" in out


def test_the_reserve_is_what_the_verdict_says():
    shape = shape_of("Qwen/Qwen2.5-VL-3B-Instruct")
    load = Workload(gpus=1, gpus_of_a_node=1, vllm_share=0.3, max_model_len=4096)
    peak = plan(shape, load, 80 * GIB).peak  # the optimizer's step, whatever the memory of the GPU
    enough = int(peak / 0.95) + 100
    assert USABLE == 0.95
    assert fits(plan(shape, load, enough), Machines(enough))
    assert not fits(plan(shape, load, enough - 200), Machines(enough - 200))


# Heads and width of the feed-forward, of the language model and of the vision tower, by the published configs: 16,
# 11008, 16, 3420 (3B: 3420 / 8 is not whole); 28, 18944, 16, 3420 (7B); 32, 12288, 16, 4304 (Qwen3-VL-8B).
@pytest.mark.parametrize(
    ("model", "gpus", "expected"),
    [
        ("Qwen/Qwen2.5-VL-3B-Instruct", 8, [1, 2, 4]),
        ("Qwen/Qwen2.5-VL-7B-Instruct", 8, [1, 2, 4]),
        ("Qwen/Qwen3-VL-8B-Instruct", 8, [1, 2, 4, 8]),
        ("Qwen/Qwen3-VL-8B-Instruct", 6, [1, 2]),  # 3 and 6 divide the GPUs, not 32 heads
        ("Qwen/Qwen3-VL-8B-Instruct", 1, [1]),
    ],
)
def test_tensor_parallelism_divides_heads_and_gpus(model, gpus, expected):
    shape = shape_of(model)
    load = Workload(gpus=gpus, gpus_of_a_node=gpus)
    assert sizes(shape, load) == expected
    for size in range(1, gpus + 1):
        if size in expected:
            check_tensor_parallelism(shape, replace(load, vllm_gpus=size))
        else:
            with pytest.raises(ValueError, match=f"{TP}: got {size}, expected a size that divides"):
                check_tensor_parallelism(shape, replace(load, vllm_gpus=size))


def test_a_replica_may_take_whole_machines_but_not_parts_of_two():
    shape = shape_of("Qwen/Qwen3-VL-8B-Instruct")
    load = Workload(gpus=16, gpus_of_a_node=8)
    check_tensor_parallelism(shape, replace(load, vllm_gpus=16))
    with pytest.raises(ValueError, match="got 16"):
        check_tensor_parallelism(shape, replace(load, gpus=24, gpus_of_a_node=8, vllm_gpus=16))


def test_tensor_parallelism_and_offload_are_proposed():
    shape = shape_of("Qwen/Qwen2.5-VL-7B-Instruct")
    load = Workload(gpus=16, gpus_of_a_node=8, vllm_share=0.6, max_model_len=4096, tokens=8192, log_prob_tokens=8192)
    names = [override for override, _ in changes(shape, load)]
    assert [name for name in names if name.startswith(TP)] == [f"{TP}=2", f"{TP}=4"]
    assert "actor_rollout_ref.actor.fsdp_config.param_offload=true" in names
    machines = Machines(24 * GIB)
    # vLLM's copy of 8.29 billion numbers in 2 bytes is 15.4 GiB, more than 0.6 of 24.
    assert plan(shape, load, machines.gpu).cache < 0
    overrides, after = advice(shape, load, machines)
    assert f"{TP}=2" in overrides and fits(after, machines)
    single = replace(load, gpus=1, gpus_of_a_node=1)
    assert not [override for override, _ in changes(shape, single) if override.startswith(TP)]


def test_a_weight_in_bf16_stands_still_from_where_the_warning_says():
    torch.manual_seed(0)
    start = torch.randn(200_000) * 0.02

    def moved(dtype):
        weights = start.to(dtype).requires_grad_()
        before = weights.detach().clone()
        weights.grad = torch.randn_like(weights)
        torch.optim.AdamW([weights], lr=1e-6, weight_decay=0).step()
        return before, weights.detach() != before

    before, changed = moved(torch.bfloat16)
    assert 0 < changed.float().mean() < 0.03  # nearly all updates are lost
    assert before[changed].abs().max() < frozen_from(1e-6) < 2 * before[changed].abs().max()
    assert moved(torch.float32)[1].float().mean() > 0.99


BF16 = [BF16_WEIGHTS, "actor_rollout_ref.actor.optim.lr=1e-6"]


def test_small_steps_of_bf16_weights_are_told(plan_run):
    warning = "warning: bf16 weights at lr 1e-06: a step changes no weight of 0.0005 or more"
    assert lost_updates(compose_run(BF16))[0].startswith(warning)
    assert lost_updates(compose_run(BF16[1:]), [BF16_WEIGHTS])[0].startswith(warning)  # its own advice
    _, out = plan_run(*RUN, BF16[1], "--gpus", "1", "--memory", "40")
    assert BF16_WEIGHTS in out and warning in out
    lora = compose_run([*BF16, "actor_rollout_ref.model.lora_rank=8"])
    assert lost_updates(lora)[0].startswith("note: model_dtype=bf16 stores the adapter in bf16")


@pytest.mark.parametrize(
    "overrides",
    [
        BF16[1:],  # float32
        ["actor_rollout_ref.actor.fsdp_config.model_dtype=fp32", BF16[1]],
        ["actor_rollout_ref.actor.fsdp_config.model_dtype=fp16", BF16[1]],  # three bits more
        [BF16_WEIGHTS, "actor_rollout_ref.actor.optim.lr=1e-3"],
        [*BF16, *STOCHASTIC_ROUNDING],
    ],
)
def test_other_steps_are_not_warned_of(overrides):
    assert lost_updates(compose_run(overrides)) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("actor_rollout_ref.actor.strategy=megatron", "actor.strategy: got megatron, expected fsdp or fsdp2"),
        ("actor_rollout_ref.actor.fsdp_config.model_dtype=int8", "actor.fsdp_config.model_dtype: got int8, expected"),
        ("actor_rollout_ref.ref.fsdp_config.model_dtype=int8", "ref.fsdp_config.model_dtype: got int8, expected one"),
    ],
)
def test_a_workload_that_the_formulas_do_not_know_is_refused(override, message):
    with pytest.raises(ValueError, match=message):
        workload_of(compose_run([*RUN, override]))


def test_a_model_in_the_cache_is_read_and_other_families_are_refused(tmp_path, monkeypatch):
    from transformers import AutoConfig

    from verl_plugins.demo.tasks import TASKS
    from verl_plugins.demo.tiny_vlm import build_tiny_vlm

    build_tiny_vlm(tmp_path / "tiny", TASKS["grounding"])
    config = str(tmp_path / "tiny" / "config.json")
    cache = {"own/tiny": config}
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda name, file: cache.get(name))
    assert shape_of("own/tiny").text.hidden == 128
    with pytest.raises(ValueError, match="model: got own/other, expected a folder with a config.json, a model in the"):
        shape_of("own/other")
    AutoConfig.for_model("llama").save_pretrained(tmp_path / "text")
    with pytest.raises(ValueError, match="whose model_type is llama, expected one of internvl, qwen2_5_vl"):
        shape_of(str(tmp_path / "text"))


@pytest.mark.slow  # runs bash, Hydra and verl: half a minute a recipe
def test_the_command_plans_a_recipe(plan_run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", os.defpath)  # an environment that no shell has activated
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    recipe = str(ROOT / "recipes" / "run_qwen2_5_vl_7b_saei.sh")
    length = "actor_rollout_ref.rollout.max_model_len="
    code, out = plan_run(recipe, "--gpus", "8", f"{length}4096", "--memory", "80", "--host-memory", "500")
    assert code == 0
    assert "8.29 billion parameters, 8 GPUs of 80 GiB" in out
    assert "attack" in out and "fits as it is: the largest phase takes" in out
    assert "it must hold one request of 4,096 (rollout.max_model_len)" in out
    # 128 prompts, 12 responses of 24,000,000 bytes: 34.3 GiB, twice, and 8 caches of 1 GiB, as the recipes set it
    assert "1,536 rows in a step, 22.9 MiB of pixel_values each" in out and "of a machine 77 of 500" in out
    assert "validation's rows are not counted" in out
    code, out = plan_run(recipe, f"{length}1000", "--gpus", "4", "--memory", "40")
    assert code == 1 and "fits with these overrides" in out and "SHORTER THAN A ROW" in out
    code, out = plan_run(str(tmp_path / "none.sh"))
    assert code == 1 and "expected a file that exists" in out


# The figures that recipes/README.md and the scripts' comments give.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "memory", "figures"),
    [
        ("run_qwen2_5_vl_3b_lora_ecvgpo", 24, ("20.0 of 22.8", "of a machine 27 of 64")),
        ("run_qwen2_5_vl_3b_one_gpu_ecvgpo", 80, ("71.9 of 76.0", "of a machine 54 of 64")),
    ],
)
def test_the_recipes_for_one_card_fit_it(recipe, memory, figures, plan_run, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = str(ROOT / "recipes" / f"{recipe}.sh")
    code, out = plan_run(path, "--memory", str(memory), "--host-memory", "64")
    assert code == 0 and "1 GPU of" in out
    assert all(figure in out for figure in figures), out
