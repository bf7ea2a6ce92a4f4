"""The evidence page is computed from the kept metrics."""

import json
import lzma
import shutil
from collections import defaultdict
from pathlib import Path

import evidence.__main__ as command
import pytest
import yaml
from evidence.curves import level_with
from evidence.kept_runs import Run, read_runs
from evidence.page import interval, paired, write_page
from evidence.variants import ABLATIONS, PAIRS, VARIANTS

from verl_plugins.methods import METHODS
from verl_plugins.methods.knobs import config_from_node

DOCS = Path(__file__).parents[3] / "docs"
TIMES = {f"timing_s/{stage}": 1.0 for stage in ("step", "old_log_prob", "update_actor")}


def test_the_page_is_computed_from_the_kept_metrics(tmp_path):
    shutil.copytree(DOCS / "evidence", tmp_path / "evidence")
    write_page(command.DATA, tmp_path / "evidence.md")
    assert (tmp_path / "evidence.md").read_text() == (DOCS / "evidence.md").read_text()


def test_means_differences_and_their_intervals(tmp_path):
    """Two seeds: GRPO's rewards 1 and 2, SaEI's 2 and 5; Student's t for one degree of freedom is 12.706."""
    for name, rewards in (("GRPO", (1.0, 2.0)), ("SaEI", (2.0, 5.0))):
        for seed, reward in enumerate(rewards, 1):
            data = {
                "critic/score/mean": reward,
                "actor/entropy": 0.5,
                "timing_s/step": reward,
                "timing_s/old_log_prob": 0.5,
                "timing_s/update_actor": 1.0 if name == "SaEI" else 0.5,  # the same work, on a machine half as fast
            }
            if name == "SaEI":
                data |= {"critic/score/mean": 9.0, "saei/reward_clean": reward}
                data |= {"saei/entropy_clean": 0.5, "saei/self_information_adversarial": 0.75}
                data |= {"timing_s/saei_attack": 0.25, "timing_s/saei_gen": 0.25}
            _keep(tmp_path, "grounding", name, [data, data], seed=seed, quality=[0.0, 1.0])
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| GRPO | 2 | – | 1.500 ± 6.353 | – | 0.500 ± 0.000 | – | 0.500 ± 0.000 | – | 0.500 ± 0.000 | – |" in page
    assert "| 0.625 ± 0.000 | +0.125 |" in page
    assert "| GRPO | 1.50 | 1.00 | 1.00 | – | – |\n| SaEI | 3.50 | 1.17 | 0.50 | – | 17.5% |" in page
    assert "| SaEI | 2 | 2 | 3.500 ± 19.059 | +2.000 ± 12.706 (0.30) | 0.500 ± 0.000 | +0.000 |" in page
    assert "| SaEI minus SaEI, random signs | 0 | – | – | – | – |" in page
    assert "Not run yet: ECVGPO, r0 = 10" in page and "| 4 | grounding | beef | 2 | abc | 2026-01-01 | 1 x C |" in page
    assert (tmp_path / "page" / "grounding.svg").is_file()


def test_an_ablation_is_held_against_its_methods_default(tmp_path):
    for name, score, jsd in (("GRPO", 9.0, 9.0), ("VEPO, score D", 0.5, 0.25), ("VEPO, zero", 0.75, 0.5)):
        data = {"critic/score/mean": score, "actor/entropy": 0.5, "vepo/entropy_gap": 2.0, **TIMES}
        data["vepo/kept_missed_by_entropy"] = 0.125
        steps = [
            data | {"vepo/jsd": 2 * jsd * (step > 10)} for step in range(1, 21)
        ]  # the mean is over all steps, not the last ones
        _keep(tmp_path, "reasoning", name, steps)
    _keep(tmp_path, "reasoning", "VEPO, score D", [data | {"vepo/jsd": 9.0}], seed=2)  # no ablation has this seed
    write_page(tmp_path, tmp_path / "page.md")
    section = (tmp_path / "page.md").read_text().partition("### VEPO: the perturbed image")[2]
    assert "| run | runs | pairs | reward | minus VEPO, score D (p) |" in section
    assert "| VEPO, score D (gaussian 2.0) | 1 | – | 0.500 | – |" in section
    assert "| VEPO, zero | 1 | 1 | 0.750 | +0.250 |" in section
    assert "| VEPO, score D (gaussian 2.0) | 0.25 | 2 | 0.125 |\n| VEPO, zero | 0.5 | 2 | 0.125 |" in section
    assert "Not run yet: VEPO, gaussian 0.5" in section


def test_runs_from_other_weights_are_not_paired(tmp_path):
    for name, start, reward in (("GRPO", "beef", 0.25), ("GRPO", "cafe", 0.75), ("VEPO, score D", "cafe", 1.0)):
        data = {"critic/score/mean": reward, "actor/entropy": 0.5, **TIMES}
        _keep(tmp_path, "reasoning", name, [data, data], start=start)
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| GRPO | 2 | – | 0.500 ± " in page and "| VEPO, score D | 1 | 1 | 1.000 | +0.250 |" in page


def test_a_curve_is_the_baselines_and_the_difference_over_pairs():
    """GRPO is at 1 from one start and at 5 from another; a run from the second is at 7, 2 above its pair: 3 + 2."""
    run = {value: Run({}, {1: {"reward": value}}) for value in (1.0, 5.0, 7.0)}
    grpo = {("beef", 1): run[1.0], ("cafe", 1): run[5.0]}
    steps, values = level_with(grpo, {("cafe", 1): run[7.0]}, lambda run: run.series("reward"))
    assert steps == [1] and values.tolist() == [5.0]
    assert level_with(grpo, grpo, lambda run: run.series("reward"))[1].tolist() == [3.0]
    assert level_with(grpo, {("cafe", 2): run[7.0]}, lambda run: run.series("reward"))[0] == []


def test_kept_runs_that_are_paired_began_alike():
    """Given equal weights, prompts and random numbers, the responses of the first step have the same reward."""
    first = defaultdict(set)
    for (task, _), runs in read_runs(command.DATA).items():
        for pairing, run in runs.items():
            first[task, pairing, run.reward].add(dict(run.series(run.reward))[1])
    assert len(first) > 10 and all(len(rewards) == 1 for rewards in first.values()), first


def test_one_seed_has_no_interval():
    assert interval([0.25]) == "0.250"
    assert paired([(1.0, 0.5)]) == "+0.500" and paired([]) == "–"


def test_a_small_p_is_not_called_zero():
    """Differences 1.0, 1.25 and 1.5: t = 1.25 / 0.1443 with two degrees of freedom, p = 0.013; of four, p = 0.0018."""
    assert paired([(1.0, 0.0), (1.25, 0.0), (1.5, 0.0)]) == "+1.250 ± 0.621 (0.01)"
    assert paired([(1.0, 0.0), (1.25, 0.0), (1.5, 0.0), (1.25, 0.0)]).endswith("(<0.01)")


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
def test_every_variant_has_knobs_that_its_method_takes(variant):
    methods = yaml.safe_load(variant.method)
    given = {name: {} for name in ([methods] if isinstance(methods, str) else methods)}
    for override in variant.overrides:
        key, _, value = override.partition("=")
        group, method, knob = key.split(".")
        assert group == "algorithm"
        given[method][knob] = yaml.safe_load(value)
    for method, knobs in given.items():
        if method != "grpo":
            config_class = METHODS[method].config
            config_from_node(config_class, knobs, f"algorithm.{method}")


def test_ablations_depart_from_a_variant_of_their_task():
    for variant in VARIANTS:
        if variant.part != "methods":
            assert (variant.task, ABLATIONS[variant.part].default) in {(v.task, v.name) for v in VARIANTS}


def test_pairs_are_of_variants_of_their_task():
    for task, pairs in PAIRS.items():
        assert {name for pair in pairs for name in pair} <= {v.name for v in VARIANTS if v.task == task}


def _keep(folder, task, name, steps, seed=1, start="beef", quality=(1.0,)):
    """Write the files that a run leaves in the folder: its facts, and its metrics by step."""
    (variant,) = (v for v in VARIANTS if v.name == name and v.task == task)
    facts = {"name": name, "task": task, "part": variant.part, "start": start, "seed": seed, "steps": len(steps)}
    facts |= {"options": [], "commit": "abc", "date": "2026-01-01", "hardware": "1 x C"}
    facts["validation"] = {str(len(steps)): list(quality)}
    (folder / f"{variant.key}_seed{seed}_{start}.json").write_text(json.dumps(facts))
    text = "".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in enumerate(steps, 1))
    (folder / f"{variant.key}_seed{seed}_{start}.metrics.jsonl.xz").write_bytes(lzma.compress(text.encode()))


def test_each_variant_has_files_of_its_own():
    assert len({variant.key for variant in VARIANTS}) == len(VARIANTS)


def test_a_part_that_is_not_there_is_answered_with_those_that_are(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evidence", "--only", "nothing"])
    with pytest.raises(SystemExit):
        command.main()
    assert "--only: got nothing, expected a part of one of methods/grounding_grpo, " in capsys.readouterr().err
