"""Values of a wrong type: one line each that names the key, and no check that fails on them."""

import pytest
from omegaconf import OmegaConf, open_dict

from verl_plugins.compose import compose_run
from verl_plugins.preflight import check_run
from verl_plugins.preflight.counts import COUNTS, NOT_NEGATIVE, OPTIONAL_COUNTS, SWITCHES, WHOLE, check_counts
from verl_plugins.preflight.installation import check_installation

ACTOR, ROLLOUT = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"


@pytest.fixture(scope="module")
def composed():
    return compose_run(["+method=vepo", f"{ROLLOUT}.name=vllm"])


@pytest.fixture
def problems(composed, data):
    """Return the problems of the run with other values by key."""

    def of(check=check_run, **changes):
        config = composed.copy()
        files = {each.partition("=")[0]: each.partition("=")[2] for each in data[:2]}
        given = files | {f"{ROLLOUT}.n": 8} | changes
        with open_dict(config):
            for key, value in given.items():
                OmegaConf.update(config, key, value, merge=False)
        return check(config)

    return of


def test_the_defaults_have_their_types(problems):
    assert problems() == [] == problems(check_counts)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in COUNTS for value in (None, 0, "abc", 1.5, True)),
        *((key, value) for key in OPTIONAL_COUNTS for value in (0, -1, "abc", True)),
        *((key, value) for key in NOT_NEGATIVE for value in (None, -1, "abc")),
        *((key, value) for key in WHOLE for value in (None, "abc", 0.5, False)),
        *((key, value) for key in SWITCHES for value in ("abc", 5)),
        *((f"{ROLLOUT}.gpu_memory_utilization", value) for value in (None, "abc", 0, 1.5, float("nan"))),
        *((key, 5) for key in ("data.train_files", "data.val_files", "data.mm_processor_kwargs")),
        ("data.train_files", [5]),
        (f"{ROLLOUT}.nnodes", -1),
        (f"{ACTOR}.entropy_coeff", "abc"),
        (f"{ROLLOUT}.engine_kwargs.vllm.mm_processor_cache_gb", "abc"),
        (f"{ROLLOUT}.max_model_len", "${nowhere}"),
    ],
)
def test_a_value_of_another_type_is_one_line_that_names_the_key(problems, key, value):
    (line,) = [line for line in problems(check_counts, **{key: value}) if line.startswith(f"{key}:")]
    assert ", expected " in line and line.endswith(f"; set {key}") and "\n" not in line


def test_a_packed_micro_batch_needs_its_limit(problems):
    limit = {f"{ACTOR}.ppo_max_token_len_per_gpu": None}
    assert problems(check_counts, **limit) == []
    packed = problems(check_counts, **limit, **{f"{ACTOR}.use_dynamic_bsz": True})
    assert len(packed) == 3 and all("got None, expected a whole number >= 1;" in line for line in packed)


@pytest.mark.parametrize("value", [5, "abc", True, [1]])
def test_a_method_without_settings_is_one_line(problems, value):
    (line,) = problems(**{"algorithm.vepo": value})
    assert line.startswith("algorithm.vepo: got ") and "expected its settings, e.g. algorithm.vepo.score" in line


@pytest.mark.parametrize("text", ["", "{", '{"model_type": "qwen3', "[]", "null", "\udcff"])
def test_a_model_folder_whose_config_is_cut_off_is_one_line(problems, tmp_path, text):
    (tmp_path / "config.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    (line,) = problems(**{"actor_rollout_ref.model.path": str(tmp_path)})
    assert line.startswith(f"actor_rollout_ref.model.path: got {tmp_path}/config.json, which ")
    assert "expected a model's whole config.json" in line
    assert isinstance(problems(check_installation, **{"actor_rollout_ref.model.path": str(tmp_path)}), list)


def test_a_folder_named_by_a_number_is_a_folder(problems, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert problems(run_dir=2026) == []
    (tmp_path / "2026" / "attempts").mkdir(parents=True)
    (tmp_path / "2026" / "attempts" / "000.jsonl").write_text("{}\n")
    (line,) = problems(run_dir=2026)
    assert line.startswith("run_dir: got 2026, which holds the metrics of another run")
