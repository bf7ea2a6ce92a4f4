"""What ``verl-plugins compose`` prints first: the settings that are not verl's defaults."""

from __future__ import annotations

import pytest
import yaml
from omegaconf import OmegaConf

from verl_plugins.cli import main
from verl_plugins.compose import compose_run
from verl_plugins.compose.config_differences import differences

DEFAULTS = OmegaConf.create(
    {
        "data": {"size": 8, "files": ["a"], "other": "${data.size}", "must": "???"},
        "actor": {"lr": 1e-6, "optim": {"name": "adam", "decay": None}},
        "kwargs": {},
    }
)


def changed(**settings):
    config = DEFAULTS.copy()
    for key, value in settings.items():
        OmegaConf.update(config, key.replace("__", "."), value)
    return config


def test_a_changed_setting_stands_beside_verls_and_the_groups_are_nested():
    config = changed(data__size=16, data__files=["b", "c"], actor__optim__decay=0.1, actor__lr=0.5, data__must=3)
    assert differences(config, DEFAULTS).splitlines() == [
        "data:",
        "  size: 16  # verl: 8",  # data.other follows from it, and is left out
        "  files: [b, c]  # verl: [a]",
        "  must: 3  # verl: to be set",
        "actor:",
        "  lr: 0.5  # verl: 1.0e-06",
        "  optim:",
        "    decay: 0.1  # verl: null",
    ]


def test_a_new_group_is_one_line_and_an_unresolved_value_is_resolved():
    config = changed(kwargs={"a": {"b": 1, "c": "x"}, "d": "${data.size}"}, method={"r0": 10, "gate": None})
    assert differences(config, DEFAULTS).splitlines() == [
        "kwargs:",
        "  a: {b: 1, c: x}",
        "  d: 8",
        "method: {r0: 10, gate: null}",
    ]
    assert yaml.safe_load(differences(config, DEFAULTS))["kwargs"] == {"a": {"b": 1, "c": "x"}, "d": 8}


def test_what_is_removed_is_named():
    config = DEFAULTS.copy()
    del config.actor["optim"]
    assert differences(config, DEFAULTS).splitlines() == ["# removed: actor.optim.name", "# removed: actor.optim.decay"]


@pytest.mark.parametrize(
    "same",
    [{}, {"data__size": 8}, {"data__files": ["a"]}, {"actor__optim__decay": None}, {"data__other": "${data.size}"}],
)
def test_what_is_verls_own_is_left_out(same):
    assert differences(changed(**same), DEFAULTS) == ""


def test_a_run_is_verls_defaults_and_the_differences():
    overrides = ["+method=vepo", "data.train_batch_size=7", "actor_rollout_ref.actor.strategy=fsdp2"]
    overrides += ["actor_rollout_ref.rollout.name=vllm", "+data.mm_processor_kwargs={max_pixels:9}"]
    config, defaults = compose_run(overrides), compose_run([])
    short = yaml.safe_load(differences(config, defaults))
    assert short["data"] == {"train_batch_size": 7, "mm_processor_kwargs": {"max_pixels": 9}, "require_images": True}
    OmegaConf.set_struct(defaults, False)
    assert OmegaConf.to_container(OmegaConf.merge(defaults, short), resolve=True) == OmegaConf.to_container(
        config, resolve=True
    )


def test_the_whole_config_is_printed_on_request(capsys):
    words = ["+method=grpo", "data.train_batch_size=7", "actor_rollout_ref.rollout.name=vllm"]
    main(["compose", *words])
    short = capsys.readouterr().out
    main(["compose", words[0], "--all", *words[1:]])
    whole = capsys.readouterr().out
    assert len(short.splitlines()) < 60 < 500 < len(whole.splitlines())
    assert "train_batch_size: 7  # verl: 1024" in short and "the whole config: --all" in short
    assert yaml.safe_load(whole)["data"]["train_batch_size"] == yaml.safe_load(short)["data"]["train_batch_size"] == 7
