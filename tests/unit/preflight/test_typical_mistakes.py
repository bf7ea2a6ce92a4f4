"""The mistakes that people make first: each is told in one line, before Ray starts."""

from __future__ import annotations

from copy import deepcopy

import pytest
import yaml
from omegaconf import OmegaConf
from users_folder import users_folder

from verl_plugins.compose import compose_run, problems_of
from verl_plugins.doctor.overrides import check_overrides
from verl_plugins.preflight import check_run

REWARD = "reward.custom_reward_function"
ROLLOUT = "actor_rollout_ref.rollout"
ACTOR = "actor_rollout_ref.actor"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return users_folder(tmp_path_factory.mktemp("mine"))


@pytest.fixture(scope="module")
def good_run(folder):
    files = [f"data.{key}={folder / 'good.parquet'}" for key in ("train_files", "val_files")]
    sizes = [f"{ROLLOUT}.n=4", f"{ROLLOUT}.name=vllm", f"{ACTOR}.ppo_micro_batch_size_per_gpu=1"]
    sizes += [f"{ROLLOUT}.log_prob_micro_batch_size_per_gpu=1", "data.train_batch_size=16"]
    run = ["+method=ecvgpo", *files, *sizes, f"{ACTOR}.ppo_mini_batch_size=16", f"{REWARD}.path=pkg://reward_fns.auto"]
    return [*run, "actor_rollout_ref.model.path=Qwen/Qwen2.5-VL-7B-Instruct"]


@pytest.fixture(scope="module")
def good_config(good_run):
    return compose_run(good_run)


@pytest.fixture
def lines_of(good_config, folder, monkeypatch):
    """Return the preflight's lines on the good run with some values of its config changed, in the user's folder."""
    monkeypatch.chdir(folder)

    def lines(changes):
        config = deepcopy(good_config)
        OmegaConf.set_struct(config, False)
        if any("parquet" in change for change in changes):  # the files with mistakes are short
            changes = ["data.train_batch_size=2", f"{ACTOR}.ppo_mini_batch_size=2", *changes]
        for key, _, value in (change.partition("=") for change in changes):
            OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
        return check_run(config)

    return lines


MISTAKES = {
    "trainer.v1.trainer_mode=async": "trainer.v1.trainer_mode: got async, expected one of sync, colocate_async,",
    f"{ROLLOUT}.name=vlm": "rollout.name: got vlm, expected one of vllm, sglang, trtllm; set actor_roll",
    "model_engine=megatron algorithm.vepo={score: D}": "model_engine: got megatron, expected dp or veomni (vepo",
    "algorithm.ecvgpo.r0=ten": "algorithm.ecvgpo.r0: got 'ten', expected a number other than 0",
    "algorithm.ecvgpo.r_0=3": "algorithm.ecvgpo.r_0: unknown setting, expected one of r0, l0, delta",
    "data.train_batch_size=abc": "data.train_batch_size: got abc, expected a whole number >= 1; set",
    "data.max_response_length=1.5": "data.max_response_length: got 1.5, expected a whole number >= 1; set",
    "trainer.n_gpus_per_node=0": "trainer.n_gpus_per_node: got 0, expected a whole number >= 1",
    "algorithm.grpo={}": "method: got grpo and ecvgpo, expected one of them (grpo is the baseline: GRPO without a",
    f"{REWARD}.path=pkg://reward_fns.groundin": f"{REWARD}.path: got pkg://reward_fns.groundin, which is not",
    f"{REWARD}.path=pkg://reward_fn.math": "which is not there, expected a module or file with compute_score, e.g.",
    f"{REWARD}.path=reward_fns.math": "got reward_fns.math, which is not there, expected a module or file with",
    f"{REWARD}.path=pkg://reward_fns.math.compute_score": "which is not there, expected a module or file with",
    f"{REWARD}.path=mein.py": "got mein.py, which is not there, expected a module or file with compute_score, e.g.",
    f"{REWARD}.path=/nowhere/reward.py": "got /nowhere/reward.py, which is not there, expected a module or file",
    f"{REWARD}.path=rows.csv": f"{REWARD}.path: got rows.csv, expected a Python file; set {REWARD}.path",
    f"{REWARD}.path=broken.py": "got broken.py, which Python cannot read (invalid syntax",
    f"{REWARD}.path=mine.py {REWARD}.name=compute_scor": f"{REWARD}.name: got compute_scor, which mine.py does not",
    f"{REWARD}.name=score": "name: got score, which pkg://reward_fns.auto does not define, expected a function of",
    f"{REWARD}.path=few_parameters.py": "got few_parameters.py's compute_score(solution_str, ground_truth),",
    f"{REWARD}.path=mine.py {REWARD}.reward_kwargs.scal=2": f"{REWARD}.reward_kwargs: got scal, expected some of",
    f"{REWARD}.reward_kwargs.maths.preset=vepo": "reward_kwargs: got maths, expected some of preset, grounding,",
    f"{REWARD}.reward_kwargs.grounding.from=answer": "reward_kwargs: got from, expected some of preset,",
    f"data.mm_processor_kwargs={{min_pixels: 784, max_pixels: 1003520}} "
    f"{REWARD}.reward_kwargs.grounding={{box_space: processed, patch_size: 14, max_pixels: 1003520}}":
        f"{REWARD}.reward_kwargs.grounding.min_pixels: got 3136, expected 784, that of data.mm_processor_kwargs",
    "data.train_files=/nowhere/x.parquet": "data.train_files: got /nowhere/x.parquet, expected a file that exists;",
    "data.train_files=gone.jsonl": "data.train_files: got gone.jsonl, expected a file that exists; set",
    "data.train_files=sub": "data.train_files: got the folder sub, expected its files, e.g. sub/train.parquet; set",
    "data.train_files=cut.parquet": "data.train_files: got cut.parquet, which cannot be read as parquet (",
    "data.train_files=lfs.parquet": "data.train_files: got lfs.parquet, which cannot be read as parquet (",
    "data.train_files=rows.csv": "got rows.csv, expected a name that ends in .parquet, .json, .jsonl, by which",
    "data.train_files=[]": "data.train_files: got nothing, expected a parquet file; set data.train_files",
    "data.train_files=easyr1.parquet": "easyr1.parquet: got columns problem, answer, images, which are EasyR1's,",
    "data.train_files=swift.parquet": "got columns messages, images, which are ms-swift's, expected prompt,",
    "data.train_files=llava.parquet": "which are LLaVA's or VLM-R1's, expected prompt, data_source, reward_model",
    "data.train_files=questions.parquet": "which are those of questions, expected prompt, data_source,",
    "data.train_files=others.parquet": "got columns text, expected prompt, data_source, reward_model too, which",
    "data.train_files=no_gold_column.parquet": "got columns data_source, prompt, images, expected reward_model",
    "data.train_files=no_source_column.parquet": "got columns prompt, images, reward_model, expected data_source",
    "data.train_files=no_source.parquet": "got 3 of 6 rows without data_source (rows 1, 3, 5), expected one in",
    "data.train_files=no_gold.parquet": "got 3 of 9 rows without reward_model.ground_truth (rows 2, 5, 8),",
    "data.train_files=no_reward_model.parquet": "got 3 of 6 rows without reward_model.ground_truth (rows 0, 2, 4),",
    "data.train_files=flat_gold.parquet": "got reward_model of type string, expected a struct with ground_truth,",
    "data.train_files=text_prompt.parquet": "got 'prompt' of type string, expected a list of messages {role,",
    "data.train_files=text_rows.parquet": "got 3 of 6 rows without an image (rows 1, 3, 5), expected an image in",
    "data.train_files=other_image_column.parquet": "expected a column 'images'; set data.image_key=image, or",
    "data.train_files=my_source.parquet": "data.train_files: my_source.parquet: data_source: got 'mine', expected",
    "data.train_batch_size=1032": "data.train_batch_size: got 1032, expected at most 1024, since data.train_files",
    "data.train_max_samples=8": "data.train_batch_size: got 16, expected at most 8, since data.train_files have",
    "data.gen_batch_size=2048": "data.gen_batch_size: got 2048, expected at most 1024",
    f"{ACTOR}.ppo_mini_batch_size=32": "ppo_mini_batch_size: got 32, expected at most data.train_batch_size, which",
    f"{ROLLOUT}.tensor_model_parallel_size=8": "tensor_model_parallel_size: got 8, expected a divisor of 28, the",
    f"{ROLLOUT}.tensor_model_parallel_size=7": "got 7, expected a divisor of 8, the GPUs of trainer.nnodes x",
    f"{ROLLOUT}.data_parallel_size=3": "got 2, times data and pipeline parallelism 3, expected a divisor of 8, the",
    f"{ROLLOUT}.max_model_len=1000": f"{ROLLOUT}.max_model_len: got 1000, expected at least 1024",
    f"{ACTOR}.use_dynamic_bsz=true {ACTOR}.ppo_max_token_len_per_gpu=1000":
        f"{ACTOR}.ppo_max_token_len_per_gpu: got 1000, expected at least 1024 (data.max_prompt_length 512 +",
    f"{ACTOR}.use_dynamic_bsz=true {ROLLOUT}.log_prob_max_token_len_per_gpu=1000":
        f"{ROLLOUT}.log_prob_max_token_len_per_gpu: got 1000",
}  # fmt: skip


def split(changes):
    """Split at the blanks before a key; values may hold blanks."""
    parts = []
    for part in changes.split(" "):
        if "=" in part or not parts:
            parts.append(part)
        else:
            parts[-1] += f" {part}"
    return parts


@pytest.mark.parametrize("changes", MISTAKES)
def test_a_mistake_is_one_line(lines_of, changes):
    (line,) = lines_of(split(changes))
    assert MISTAKES[changes] in line, line
    assert "\n" not in line


WHAT_HELPS = {  # the end of the line: a name that exists, or a command
    f"{REWARD}.path=pkg://reward_fns.groundin": f", e.g. pkg://reward_fns.grounding; set {REWARD}.path",
    f"{REWARD}.path=pkg://reward_fn.math": f", e.g. pkg://reward_fns.math; set {REWARD}.path",
    f"{REWARD}.path=reward_fns.math": f", e.g. pkg://reward_fns.math; set {REWARD}.path",
    f"{REWARD}.path=pkg://reward_fns.math.compute_score": f", e.g. pkg://reward_fns.math; set {REWARD}.path",
    f"{REWARD}.path=mein.py": f", e.g. mine.py; set {REWARD}.path",
    f"{REWARD}.path=/nowhere/reward.py": f"a module or file with compute_score; set {REWARD}.path",
    f"{REWARD}.path=mine.py {REWARD}.name=compute_scor": f", e.g. compute_score; set {REWARD}.name",
    f"{REWARD}.path=few_parameters.py": "data_source, extra_info too, which verl passes by name; add them, or **kwargs",
    "data.train_files=easyr1.parquet": "convert it: python -m data_prep jsonl --source easyr1.parquet --out data/mine",
    "data.train_files=swift.parquet": "--question messages.0.content --answer messages.1.content --image images",
    "data.train_files=other_image_column.parquet": "; set data.image_key=image, or data.require_images=false",
    "data.train_files=sub": "e.g. sub/train.parquet; set data.train_files",
    "data.train_max_samples=8": "have 1024 rows, of which data.train_max_samples=8 are drawn (verl leaves out an "
    "incomplete batch, and there is no other); set data.train_batch_size, or use more rows",
}  # fmt: skip


@pytest.mark.parametrize("changes", WHAT_HELPS)
def test_the_line_ends_with_what_helps(lines_of, changes):
    (line,) = lines_of(split(changes))
    assert line.endswith(WHAT_HELPS[changes]), line


ALSO_GOOD = [
    "",
    f"{REWARD}.path=null",
    f"{REWARD}.path=mine.py",
    f"{REWARD}.path=mine.py {REWARD}.reward_kwargs.scale=2",
    f"{REWARD}.path=any.py {REWARD}.reward_kwargs.whatever=2",
    f"{REWARD}.path=pkg://mine",
    f"{REWARD}.path=imported.py",
    f"{REWARD}.path=again.py",
    f"{REWARD}.path=late.py {REWARD}.name=anything",
    f"{REWARD}.path=file://mine.py",
    "data.train_files=verls_geo3k.parquet",
    f"data.train_files=many_golds.parquet {REWARD}.path=pkg://reward_fns.math",
    f"data.train_files=my_source.parquet {REWARD}.reward_kwargs.routes.mine=math",
    f"data.train_files=my_source.parquet {REWARD}.path=pkg://reward_fns.grounding",
    "data.train_files=no_gold_column.parquet reward.reward_manager.source=importlib",
    "data.train_files=others.parquet data.custom_cls.path=mine.py data.require_images=false",
    "data.train_files=hdfs://somewhere/x.parquet",
    "data.train_batch_size=2048 algorithm.filter_groups.enable=true algorithm.filter_groups.metric=reward",
    f"{ROLLOUT}.tensor_model_parallel_size=4",
    f"{ROLLOUT}.tensor_model_parallel_size=1 {ROLLOUT}.data_parallel_size=8",
    f"{ROLLOUT}.max_model_len=1024",
    f"{ACTOR}.use_dynamic_bsz=true {ACTOR}.ppo_max_token_len_per_gpu=1024",
    f"{ACTOR}.ppo_max_token_len_per_gpu=1",
    f"{ACTOR}.use_dynamic_bsz=true {ACTOR}.ppo_max_token_len_per_gpu=512 "
    f"actor_rollout_ref.model.use_remove_padding=true {ACTOR}.fsdp_config.ulysses_sequence_parallel_size=2",
    f"data.mm_processor_kwargs={{min_pixels: 3136, max_pixels: 1003520}} "
    f"{REWARD}.reward_kwargs.grounding={{box_space: processed, patch_size: 14, max_pixels: 1003520}}",
]  # fmt: skip


@pytest.mark.parametrize("changes", ALSO_GOOD)
def test_what_is_right_is_not_refused(lines_of, changes):
    assert lines_of(split(changes) if changes else []) == []


MISSPELT = {
    "+method=ecvpgo": "overrides: got Could not find 'method/ecvpgo', expected one of ecvgpo, grpo, noisyrollout,",
    "+method=[grpo,ecvgpo]": "method: got grpo and ecvgpo, expected one of them",
    "algorithm.ecvgpo.r_0=3": "overrides: got algorithm.ecvgpo.r_0=3, expected a key that the config has; set",
    "data.train_batchsize=4": "overrides: got data.train_batchsize=4, expected a key that the config has; set",
    f"{REWARD}.reward_kwargs.form=answer": f"its config lacks; set +{REWARD}.reward_kwargs.form=answer",
    "actor_rollout_ref.rolout.n=4": f"expected a key that the config has; set {ROLLOUT} (",
    "data.train_files=[a": "overrides: got ",
}  # fmt: skip


@pytest.mark.parametrize("override", MISSPELT)
def test_a_misspelt_name_is_one_line_of_the_doctor(good_run, override):
    run = [each for each in good_run if not (override.startswith("+method") and each.startswith("+method"))]
    cpu = ["trainer.device=cpu"]  # or the missing flash-attn and GPUs of this machine are told as well
    (check,) = check_overrides([*run, *cpu, override])
    assert check.failed and MISSPELT[override] in check.line and "\n" not in check.line, check.line


def test_verls_own_validation_is_one_line_and_does_not_repeat_ours(good_config):
    config = deepcopy(good_config)
    config.actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu = None
    (line,) = problems_of(config)
    assert line.startswith("verl: [actor] Please set at least one of 'actor.ppo_micro_batch_size'"), line
    config = deepcopy(good_config)
    config.actor_rollout_ref.actor.ppo_mini_batch_size = 32
    (line,) = problems_of(config)
    assert line.startswith(f"{ACTOR}.ppo_mini_batch_size: got 32")
