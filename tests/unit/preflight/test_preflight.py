"""Every bad run is refused before training, with one message that names the key to set."""

import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from checked_run import FEW, IMAGE, problems, write_parquet

from verl_plugins.compose import compose_run
from verl_plugins.hydra_plugin import Preflight


@pytest.mark.parametrize("method", ["ecvgpo", "grpo", "vepo", "vppo", "[ecvgpo,vepo]"])
@pytest.mark.parametrize("platform", [[], ["+platform=cpu"]])
def test_a_good_run_passes(data, method, platform):
    assert problems([f"+method={method}", *platform, *data]) == []


def test_micro_batches_that_do_not_divide_a_ranks_rows_are_refused(data):
    sizes = ["data.train_batch_size=30", "actor_rollout_ref.actor.ppo_mini_batch_size=15", "trainer.n_gpus_per_node=2"]
    micro = ["actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=8"]
    micro += ["actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=8"]
    (result,) = problems(["+method=grpo", *data, *sizes, *micro])
    # 30 prompts x 8 responses on 2 ranks are 120 rows, which 8 divides; 15 x 8 / 2 = 60 rows, which it does not
    assert (
        "ppo_micro_batch_size_per_gpu: got 8, expected a divisor of 60 (15 prompts x 8 responses on 2 ranks)" in result
    )
    dynamic = "actor_rollout_ref.actor.use_dynamic_bsz=true"
    assert problems(["+method=grpo", *data, *sizes, *micro, dynamic]) == []


@pytest.mark.parametrize("method", ["saei", "[saei,ecvgpo,vepo]"])
@pytest.mark.parametrize("platform", [[], ["+platform=cpu"]])
def test_a_good_run_with_a_second_sampling_passes(data, method, platform):
    assert problems([f"+method={method}", *platform, *data[:2]]) == []
    halves = ["algorithm.saei.n1=3", "algorithm.saei.n2=5", "algorithm.saei.band=[0.2,0.8]"]
    assert problems([f"+method={method}", *platform, *data, *halves]) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.saei.n1=0", "algorithm.saei.n1: got 0, expected a whole number >= 1"),
        ("algorithm.saei.n1=six", "algorithm.saei.n1: got 'six', expected a whole number >= 1"),
        ("algorithm.saei.n2=7", "algorithm.saei.n1 + n2: got 6 + 7, expected actor_rollout_ref.rollout.n = 12"),
        ("actor_rollout_ref.rollout.n=8", "saei.n1 + n2: got 6 + 6, expected actor_rollout_ref.rollout.n = 8"),
        ("algorithm.saei.alpha=0", "algorithm.saei.alpha: got 0, which changes no image"),
        ("algorithm.saei.alpha=0.0078", "algorithm.saei.alpha: got 0.0078, expected a whole number of 8-bit levels"),
        ("algorithm.saei.epsilon=1", "algorithm.saei.epsilon: got 1, expected 0, or a whole number >= alpha"),
        ("algorithm.saei.band=[0.8,0.2]", "algorithm.saei.band: got [0.8, 0.2]"),
        ("actor_rollout_ref.actor.strategy=fsdp", "actor_rollout_ref.actor.strategy: got fsdp, expected fsdp2 (saei"),
        ("actor_rollout_ref.rollout.agent.default_agent_loop=tool_agent", "agent_loop: got tool_agent, expected"),
        ("skip.rollout_tq.enable=true", "skip.rollout_tq.enable: got true, expected false"),
        ("trainer.v1.trainer_mode=colocate_async", "trainer_mode: got colocate_async, expected sync (saei"),
        ("algorithm.rollout_correction.bypass_mode=true", "bypass_mode: got true, expected false with algorithm.s"),
    ],
)  # fmt: skip
def test_what_saei_cannot_work_with_is_named(data, override, message):
    result = problems(["+method=saei", *data[:2], override])
    assert any(message in problem for problem in result), result
    assert len(result) == 1, result


def test_rows_with_a_video_are_named_for_saei_alone(tmp_path, data):
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pq.read_table(data[0].partition("=")[2])
    videos = pa.array([[], [{"bytes": b"not read", "path": None}], None], type=pa.list_(struct))
    path = tmp_path / "videos.parquet"
    pq.write_table(table.slice(0, 3).append_column("videos", videos), path)
    (result,) = problems(["+method=saei", *data[:2], *FEW, f"data.train_files={path}"])
    assert "data.train_files" in result and "got 1 of 3 rows with a video (rows 1)" in result
    assert problems(["+method=ecvgpo", *data, *FEW, f"data.train_files={path}"]) == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.ecvgpo.r0=0", r"ecvgpo.r0: got 0, expected a number other than 0 .*; set algorithm.ecvgpo.r0"),
        ("algorithm.ecvgpo.r0=ten", r"algorithm.ecvgpo.r0: got 'ten'"),
        ("algorithm.ecvgpo.delta=-0.1", r"algorithm.ecvgpo.delta: got -0.1, expected a number >= 0"),
        ("algorithm.ecvgpo.l0=0", r"algorithm.ecvgpo.l0: got 0, expected a number >= 1"),
        ("algorithm.ecvgpo.gate=beside", r"algorithm.ecvgpo.gate: got 'beside', expected 'below' or 'above'"),
        ("+algorithm.ecvgpo.r_0=10", r"algorithm.ecvgpo.r_0: unknown setting, expected one of r0, l0"),
        ("actor_rollout_ref.rollout.calculate_log_probs=false", r"calculate_log_probs: got False, expected true"),
        ("trainer.v1.trainer_mode=async", r"trainer_mode: got async, expected one of sync, colocate_async, separate_a"),
        ("ray_kwargs.ray_init.runtime_env.env_vars.VERL_PLUGINS_TRAINERS=0", r"TRAINERS: got 0, expected 1"),
        ("trainer.use_v1=false", r"trainer.use_v1: got False, expected true"),
        ("algorithm.adv_estimator=gae", r"algorithm.adv_estimator: got gae, expected grpo or ecvgpo, vepo, vppo, saei"),
        ("actor_rollout_ref.rollout.n=1", r"rollout.n: got 1, expected >= 2"),
        ("data.train_files=/nowhere/x.parquet", r"train_files: got /nowhere/x.parquet, expected a file that exists"),
        ("data.image_key=pictures", r"expected a column 'pictures'; set data.image_key"),
    ],
)  # fmt: skip
def test_each_bad_override_is_one_line_that_names_the_key(data, override, message):
    import re

    bypass = ["algorithm.rollout_correction.bypass_mode=true"] if "calculate_log_probs" in override else []
    result = problems(["+method=ecvgpo", *data, *bypass, override])
    keys = {"image_key": 2}  # train and val file
    assert len(result) == next((n for key, n in keys.items() if key in override), 1), result
    assert re.search(message, result[0]), result


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.vepo.fraction=0", "algorithm.vepo.fraction: got 0, expected a number in (0, 1]"),
        ("algorithm.vepo.perturbation=fog", "algorithm.vepo.perturbation: got 'fog', expected one of gaussian"),
        (
            "actor_rollout_ref.actor.policy_loss.loss_mode=geo_mean",
            "policy_loss.loss_mode: got geo_mean, expected another policy loss",
        ),
        ("actor_rollout_ref.actor.strategy=megatron", "strategy: got megatron, expected fsdp or fsdp2"),
        ("algorithm.vepo.scope=group", "algorithm.vepo.scope: got 'group', expected 'response' or 'batch'"),
        ("algorithm.vepo.schedule_midpoint=40", "algorithm.vepo.schedule_midpoint: got 40, expected a share"),
    ],
)
def test_what_vepo_cannot_work_with_is_one_line(data, override, message):
    (problem,) = problems(["+method=vepo", *data, override])
    assert message in problem and problem.rpartition("set ")[2] in override


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("algorithm.vppo.weight_max=0.5", "algorithm.vppo.weight_max: got 0.5, expected a number >= 1, or null"),
        (
            "actor_rollout_ref.actor.policy_loss.loss_mode=geo_mean",
            "expected another policy loss (geo_mean averages the advantages of a response, which undoes vppo",
        ),
        ("actor_rollout_ref.actor.strategy=megatron", "strategy: got megatron, expected fsdp or fsdp2"),
    ],
)
def test_what_vppo_cannot_work_with_is_one_line(data, override, message):
    (problem,) = problems(["+method=vppo", *data, override])
    assert message in problem and problem.rpartition("set ")[2] in override


def test_two_methods_with_different_second_forwards_are_refused_by_the_knobs_that_differ(data):
    both = ["+method=[vepo,vppo]", *data]
    lines = problems(both)  # the defaults: gaussian noise of 2, and patches of 0.5
    assert [line.partition(" (")[0] for line in lines] == [
        "algorithm.vppo.perturbation: got patch, expected gaussian, that of algorithm.vepo.perturbation",
        "algorithm.vppo.strength: got 0.5, expected 2.0, that of algorithm.vepo.strength",
    ]
    shared = ["algorithm.vppo.perturbation=gaussian", "algorithm.vppo.strength=2"]
    assert problems([*both, *shared]) == []
    annealed = ["algorithm.vppo.schedule=sigmoid"]
    lines = problems([*both, *shared, *annealed])
    assert "algorithm.vppo.schedule: got sigmoid, expected constant" in lines[0] and len(lines) == 3
    assert problems([*both, *shared, *annealed, "algorithm.vepo.schedule=sigmoid"]) == []
    steep = ["algorithm.vepo.schedule=sigmoid", "algorithm.vepo.schedule_steepness=10"]
    (line,) = problems([*both, *shared, *annealed, *steep])
    assert line.startswith("algorithm.vppo.schedule_steepness: got 30.0, expected 10, that of algorithm.vepo.")


@pytest.mark.parametrize(
    "knobs",
    [["algorithm.vepo.score=entropy"], ["algorithm.vepo.select=random"], ["algorithm.vepo.fraction=1"],
     ["algorithm.vppo.fraction=1", "algorithm.vppo.weight_min=1"]],
    ids="_".join,
)  # fmt: skip
def test_a_method_without_a_second_forward_goes_with_any_other(data, knobs):
    assert problems(["+method=[vepo,vppo]", *data, *knobs]) == []


def test_an_estimator_without_its_settings_asks_for_the_method(data):
    result = problems(["+method=grpo", *data, "algorithm.adv_estimator=ecvgpo"])
    assert result == ["algorithm.ecvgpo: got nothing, expected its settings; start the run with +method=ecvgpo"]


def test_rows_without_an_image_are_named(tmp_path, data):
    path = write_parquet(tmp_path / "holes.parquet", [[IMAGE], [], None, [IMAGE]])
    run = ["+method=ecvgpo", *data, *FEW, f"data.train_files={path}"]
    (result,) = problems(run)
    assert "got 2 of 4 rows without an image (rows 1, 2)" in result
    assert "data.require_images=false" in result
    assert problems([*run, "data.require_images=false"]) == []


def test_several_problems_are_told_at_once(data):
    result = problems(["+method=ecvgpo", *data, "algorithm.ecvgpo.r0=0", "trainer.use_v1=false"])
    assert len(result) == 2


def test_the_callback_ends_the_driver_with_the_message(data):
    config = compose_run(["+method=ecvgpo", *data, "algorithm.ecvgpo.r0=0"])
    with pytest.raises(SystemExit, match=r"this run cannot start:\n  algorithm.ecvgpo.r0: got 0"):
        Preflight().on_job_start(config)


@pytest.mark.parametrize("engine", ["megatron", "veomni", "torchtitan"])
@pytest.mark.parametrize(
    ("method", "accepted"), [("ecvgpo", None), ("vepo", "dp or veomni"), ("vppo", "dp or veomni"), ("saei", "dp")]
)
def test_another_engine_is_refused_by_the_methods_that_reach_into_the_model(data, engine, method, accepted):
    rollout = "actor_rollout_ref.rollout.n=12"
    result = problems([f"+method={method}", f"model_engine={engine}", *data, rollout])
    if accepted is None or engine in accepted:
        assert result == []
    else:
        (problem,) = result
        assert problem.startswith(f"model_engine: got {engine}, expected {accepted} ({method}")


@pytest.mark.parametrize(
    ("method", "knobs"),
    [
        ("vepo", ["select=random"]),
        ("vepo", ["score=entropy"]),
        ("vepo", ["fraction=1"]),
        ("vppo", ["fraction=1", "weight_min=1"]),
    ],
)
def test_a_selection_without_a_second_forward_takes_any_engine_and_no_geo_mean(data, method, knobs):
    settings = [f"algorithm.{method}.{knob}" for knob in knobs]
    run = [f"+method={method}", "model_engine=megatron", *data, *settings]
    assert problems(run) == []
    (problem,) = problems([*run, "actor_rollout_ref.actor.policy_loss.loss_mode=geo_mean"])
    assert "loss_mode: got geo_mean" in problem


def test_a_file_that_is_no_parquet_is_named(tmp_path, data):
    whole = (tmp_path / "rows.parquet").read_bytes()
    for name, content in (("cut.parquet", whole[: len(whole) // 2]), ("empty.parquet", b"")):
        (tmp_path / name).write_bytes(content)
        (result,) = problems(["+method=ecvgpo", *data, f"data.train_files={tmp_path / name}"])
        assert f"data.train_files: got {tmp_path / name}, which cannot be read as parquet" in result
        assert "set data.train_files" in result


def test_a_check_that_fails_itself_is_a_problem_beside_the_others(data, monkeypatch):
    from verl_plugins import preflight

    def fail(config):
        raise KeyError("gone")

    monkeypatch.setattr(preflight, "check_model", fail)
    result = problems(["+method=ecvgpo", *data, "algorithm.ecvgpo.r0=0"])
    assert len(result) == 2 and "algorithm.ecvgpo.r0" in result[0]
    assert result[1].startswith("the check itself failed: fail: KeyError: 'gone'")


@pytest.mark.slow
def test_no_exception_of_a_callback_lets_the_run_start(tmp_path, data):
    """Hydra would make a warning of it and go on."""
    (tmp_path / "reward_fns").mkdir()
    (tmp_path / "reward_fns" / "__init__.py").touch()  # the user's own, which stands before the package's
    done = main_ppo("+method=ecvgpo", *data, cwd=tmp_path)
    assert done.returncode == 1
    assert "verl-plugins: this run cannot start:\n  reward_fns: got " in done.stderr, done.stderr[-2000:]
    assert str(tmp_path / "reward_fns") in done.stderr and "rename" in done.stderr
    assert "ray init" not in done.stdout


def test_a_preflight_that_cannot_be_imported_ends_the_run(data, monkeypatch):
    config = compose_run(["+method=ecvgpo", *data])
    monkeypatch.setitem(sys.modules, "verl_plugins.preflight", None)
    with pytest.raises(SystemExit, match="the check itself failed, and the run does not start: ModuleNotFoundError"):
        Preflight().on_job_start(config)


def main_ppo(*overrides, cwd, code="from verl.trainer.main_ppo import main; main()", **env):
    import os

    command = [sys.executable, "-c", code, *overrides]  # like python -m, with the working directory first on the path
    return subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, env={**os.environ, **env}, check=False
    )


@pytest.mark.slow
def test_verls_own_entry_point_refuses_before_ray_starts(tmp_path, data):
    done = main_ppo("+method=ecvgpo", "algorithm.ecvgpo.r0=0", *data, cwd=tmp_path)
    assert done.returncode == 1
    assert "verl-plugins: this run cannot start:\n  algorithm.ecvgpo.r0: got 0" in done.stderr
    assert "Traceback" not in done.stderr
    assert "ray init" not in done.stdout


@pytest.mark.slow
def test_an_unknown_method_is_answered_with_the_known_ones(tmp_path):
    done = main_ppo("+method=ecvpgo", cwd=tmp_path)
    assert done.returncode == 1
    assert "Could not find 'method/ecvpgo'" in done.stderr
    assert "ecvgpo" in done.stderr.split("Available options")[1]


@pytest.mark.slow
def test_a_broken_plugin_is_not_silent(tmp_path):
    # verl itself logs a plugin that fails to import at DEBUG.
    code = "import sys, types; sys.modules['wrapt'] = None\nfrom verl.trainer.main_ppo import main; main()"
    done = main_ppo("+method=ecvgpo", cwd=tmp_path, code=code)
    assert done.returncode == 1
    assert "verl-plugins: not loaded into verl: ModuleNotFoundError" in done.stderr
    assert "run `verl-plugins doctor`" in done.stderr


def test_the_training_line_of_the_docs_is_one_that_verl_accepts(data):
    import shlex
    from pathlib import Path

    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import validate_config

    page = (Path(__file__).parents[3] / "docs" / "usage.md").read_text()
    (line,) = [block for block in page.split("\n\n") if "python -m verl.trainer.main_ppo +method=ecvgpo" in block]
    arguments = shlex.split(line.replace("\\\n", " "))
    assert arguments[:3] == ["python", "-m", "verl.trainer.main_ppo"]
    overrides = [a for a in arguments[3:] if not a.startswith(("data.train_files", "data.val_files"))] + data
    assert problems(overrides) == []
    config = compose_run(overrides)
    validate_config(config, use_reference_policy=need_reference_policy(config), use_critic=need_critic(config))


@pytest.mark.parametrize(
    ("reward", "settings", "message"),
    [
        ("grounding", ["preset=vlm_r1", "iou_threshold=0.5"], None),
        ("auto", ["math.preset=mm_eureka", "routes.mine=math", "grounding.box_space=0-1000"], None),
        ("math", ["timeout_s=3"], None),
        ("grounding", ["form=anwser"], "form: got 'anwser', expected one of answer, think_answer"),
        ("grounding", ["fromat_weight=1"], "reward_kwargs: got fromat_weight, expected some of preset, format_weight"),
        ("grounding", ["format_weight=half"], "format_weight: got 'half', expected a number in [0"),
        ("grounding", ["box_space=processed"], "patch_size: got none, expected the patch size"),
        ("math", ["preset=ecvgpo"], "preset: got 'ecvgpo', expected one of vepo, mm_eureka"),
        ("boxed", ["format_weight=2"], "format_weight: got 2, expected a number in [0, 1]"),
        ("auto", ["maths.preset=vepo"], "reward_kwargs: got maths, expected some of preset, grounding, math"),
        (
            "auto",
            ["math.preset=r1"],
            "expected one of vepo, mm_eureka; set reward.custom_reward_function.reward_kwargs.math.",
        ),
        ("auto", ["routes.mine=maths"], "routes.mine: got 'maths', expected one of grounding, math, boxed"),
        ("auto", ["grounding=ecvgpo"], "grounding: got 'ecvgpo', expected settings by name"),
    ],
)
def test_a_rewards_settings_are_checked_before_ray_starts(data, reward, settings, message):
    key = "reward.custom_reward_function"
    for path in (f"pkg://reward_fns.{reward}", f"reward_fns/{reward}.py"):
        overrides = [f"+{key}.reward_kwargs.{setting}" for setting in settings]
        result = problems(["+method=grpo", *data, f"{key}.path={path}", *overrides])
        assert len(result) == (message is not None) and (message or "") in "".join(result), result


def test_another_reward_is_left_alone(data, tmp_path):
    key, mine = "reward.custom_reward_function", tmp_path / "grounding.py"
    mine.write_text("def compute_score(data_source, solution_str, ground_truth, extra_info, a):\n    return 1.0\n")
    assert problems(["+method=grpo", *data, f"{key}.path={mine}", f"+{key}.reward_kwargs.a=1"]) == []
