"""The evidence page is computed from the kept metrics."""

import json
import lzma
import shutil
from collections import defaultdict
from pathlib import Path

import evidence.__main__ as command
import numpy as np
import pytest
import yaml
from evidence.attacked import answers_under_attack
from evidence.curves import level_with
from evidence.kept_runs import Run, read_runs
from evidence.page import ATTACKED, MEASURES, write_page
from evidence.statistics import detectable, holm, interval, paired
from evidence.variants import ABLATIONS, CLAIMS, PAIRS, STEPS, VARIANTS
from omegaconf import OmegaConf
from scipy import stats

from verl_plugins.compose import compose_run
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command

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
            _keep(tmp_path, "reasoning", name, [data, data], seed=seed, val=[0.0, 1.0], ood=[0.0, 0.0, 0.0, seed])
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    grpo = "| GRPO | 2 | – | 0.500 ± 0.000 | – | 0.375 ± 1.588 | – | 1.500 ± 6.353 | – | 0.500 ± 0.000 | – |"
    assert grpo in page
    assert "| 0.625 ± 0.000 | +0.125 |" in page
    assert "| GRPO | 1.50 | 1.00 | 1.00 | – | – |\n| SaEI | 3.50 | 1.17 | 0.50 | – | 17.5% |" in page
    saei = (
        "| SaEI | 2 | 2 | 0.500 ± 0.000 | +0.000 | 0.375 ± 1.588 | +0.000 | 3.500 ± 19.059 | +2.000 ± 12.706 (0.30) |"
    )
    assert saei in page
    assert "| SaEI minus SaEI, random signs | 0 | – | – | – | – | – |" in page
    assert "Not run yet: VEPO; random 20%" in page and "| 4 | reasoning | beef | 2 | abc | 2026-01-01 | 1 x C |" in page
    assert (tmp_path / "page" / "reasoning.svg").is_file()


def test_an_ablation_is_held_against_its_methods_default(tmp_path):
    for name, score, jsd in (("GRPO", 9.0, 9.0), ("VEPO", 0.5, 0.25), ("VEPO, sigma = 6.93", 0.75, 0.5)):
        data = {"critic/score/mean": score, "actor/entropy": 0.5, "vepo/entropy_gap": 2.0, **TIMES}
        data["vepo/kept_missed_by_entropy"] = 0.125
        steps = [
            data | {"vepo/jsd": 2 * jsd * (step > 10)} for step in range(1, 21)
        ]  # the mean is over all steps, not the last ones
        _keep(tmp_path, "reasoning", name, steps)
    _keep(tmp_path, "reasoning", "VEPO", [data | {"vepo/jsd": 9.0}], seed=2)  # no ablation has this seed
    write_page(tmp_path, tmp_path / "page.md")
    section = (tmp_path / "page.md").read_text().partition("### VEPO: the authors' noise")[2]
    assert "| run | runs | pairs | validation | minus VEPO (p) | out of domain | minus VEPO (p) | reward |" in section
    assert "| VEPO (sigma = 2) | 1 | – | 1.000 | – | 1.000 | – | 0.500 | – |" in section
    assert "| VEPO, sigma = 6.93 | 1 | 1 | 1.000 | +0.000 | 1.000 | +0.000 | 0.750 | +0.250 |" in section
    assert "| VEPO (sigma = 2) | 0.25 | 2 | 0.125 |\n| VEPO, sigma = 6.93 | 0.5 | 2 | 0.125 |" in section


def test_runs_from_other_weights_are_not_paired(tmp_path):
    for name, start, reward in (("GRPO", "beef", 0.25), ("GRPO", "cafe", 0.75), ("VEPO", "cafe", 1.0)):
        data = {"critic/score/mean": reward, "actor/entropy": 0.5, **TIMES}
        _keep(tmp_path, "reasoning", name, [data, data], start=start)
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert (
        "| GRPO | 2 | – | 1.000 ± " in page
        and "| VEPO | 1 | 1 | 1.000 | +0.000 | 1.000 | +0.000 | 1.000 | +0.250 |" in page
    )


def test_the_named_comparisons_are_those_of_the_kept_runs(tmp_path):
    """ECVGPO's entropies lie 0.1, 0.2 and 0.3 below GRPO's: t = 2 sqrt(3), p = 0.074; other claims have no runs."""
    for seed in (1, 2, 3):
        for name, entropy in (("GRPO", 0.5), ("ECVGPO, r0 = 10", 0.5 - seed / 10)):
            data = {"critic/score/mean": 1.0, "actor/entropy": entropy, **TIMES}
            _keep(tmp_path, "grounding", name, [data, data], seed=seed, val=[0.5 + seed * entropy / 10])
    write_page(tmp_path, tmp_path / "page.md")
    lines = (tmp_path / "page.md").read_text().partition("## The named comparisons\n")[2].splitlines()
    (entropy,) = (line for line in lines if line.startswith("| r0 > 0 lowers the entropy |"))
    assert "| ECVGPO, r0 = 10 minus GRPO | entropy, nats | 3 of 5 | -0.200 ± 0.248 | 0.07 | 1.00 |" in entropy
    (missing,) = (line for line in lines if line.startswith("| VEPO reasons better than GRPO |"))
    assert missing.endswith("| validation | 0 of 5 | – | – | – | – |")


def test_p_values_are_adjusted_for_their_number():
    """Holm, of four: 4 x 0.01, then the larger of that and 3 x 0.02, then the larger of that and 2 x 0.03."""
    assert holm([0.02, None, 0.01, 0.03]) == pytest.approx([0.06, None, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


def test_a_difference_of_the_size_that_could_be_told_is_found_in_four_of_five():
    spread = detectable([1.0, 2.0, 3.0, 4.0, 5.0])
    assert spread is not None
    random = np.random.default_rng(0)
    draws = random.normal(spread, np.std([1, 2, 3, 4, 5], ddof=1), (20000, 5))
    assert (stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.01)
    assert detectable([1.0]) is None and detectable([1.0, 1.0]) is None


def test_a_curve_is_the_baselines_and_the_difference_over_pairs():
    """GRPO is at 1 from one start and at 5 from another; a run from the second is at 7, 2 above its pair: 3 + 2."""
    run = {value: Run({}, {1: {"reward": value}}) for value in (1.0, 5.0, 7.0)}
    grpo = {("beef", 1): run[1.0], ("cafe", 1): run[5.0]}
    steps, values = level_with(grpo, {("cafe", 1): run[7.0]}, lambda run: run.series("reward"))
    assert steps == [1] and values.tolist() == [5.0]
    assert level_with(grpo, grpo, lambda run: run.series("reward"))[1].tolist() == [3.0]
    assert level_with(grpo, {("cafe", 2): run[7.0]}, lambda run: run.series("reward"))[0] == []


def test_kept_runs_that_are_paired_share_prompts_and_random_numbers():
    """The prompts of all steps are equally long, and the first responses of runs that sample alike have one reward."""
    prompts, first = defaultdict(set), defaultdict(set)
    for (task, _), runs in read_runs(command.DATA).items():
        for pairing, run in runs.items():
            lengths = ("prompt_length/mean", "prompt_length/max", "prompt_length/min")
            prompts[task, pairing].add(tuple(tuple(run.series(length)) for length in lengths))
            first[task, pairing, run.reward].add(dict(run.series(run.reward))[1])
    assert all(len(lengths) == 1 for lengths in prompts.values())
    assert len(prompts) == len(set.union(*prompts.values())), "seeds that see the same prompts"
    assert all(len(rewards) == 1 for rewards in first.values()), first


def test_kept_runs_have_the_options_that_the_page_names():
    runs = read_runs(command.DATA)
    for variant in VARIANTS:
        for run in runs[variant.task, variant.name].values():
            assert (run.facts["options"], run.facts["steps"]) == (variant.options, STEPS), variant.name


def test_a_kept_run_with_other_options_or_steps_is_not_taken_for_another(tmp_path):
    variant, *_ = VARIANTS
    kept = tmp_path / "run.json"
    kept.write_text(json.dumps({"options": variant.options, "steps": 120}))
    command.check_kept(kept, variant, 120)
    with pytest.raises(SystemExit, match=r"run.json: steps: got 120, expected 20; remove the file"):
        command.check_kept(kept, variant, 20)
    kept.write_text(json.dumps({"options": ["--task=grounding"], "steps": 120}))
    with pytest.raises(SystemExit, match=r"run.json: options: got \['--task=grounding'\], expected \["):
        command.check_kept(kept, variant, 120)


def test_one_seed_has_no_interval():
    assert interval([0.25]) == "0.250"
    assert paired([0.5]) == ("+0.500", None) and paired([]) == ("–", None)


def test_the_interval_and_p_of_three_differences():
    """1.0, 1.25 and 1.5: t = 1.25 / 0.1443 with two degrees of freedom, p = 0.013."""
    text, p = paired([1.0, 1.25, 1.5])
    assert text == "+1.250 ± 0.621" and p == pytest.approx(0.0131, abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.key)
def test_every_variant_composes_with_its_settings(variant, tmp_path):
    where = tmp_path / "model", tmp_path / "data", tmp_path / "run"
    command = training_command(*where, TASKS[variant.task], variant.method, 1, variant.settings)
    config = compose_run(command[command.index("verl.trainer.main_ppo") + 1 :])
    for override in variant.settings:
        key, _, value = override.partition("=")
        assert OmegaConf.select(config, key) == yaml.safe_load(value)


def test_ablations_depart_from_a_variant_of_their_task():
    for variant in VARIANTS:
        if variant.part != "methods":
            assert (variant.task, ABLATIONS[variant.part].default) in {(v.task, v.name) for v in VARIANTS}


def test_pairs_and_claims_are_of_variants_of_their_task():
    named = [(task, name) for task, pairs in PAIRS.items() for pair in pairs for name in pair]
    named += [(claim.task, name) for claim in CLAIMS for name in claim.names]
    assert set(named) <= {(v.task, v.name) for v in VARIANTS}
    assert {claim.measure for claim in CLAIMS} <= (MEASURES | ATTACKED).keys()


def _keep(folder, task, name, steps, seed=1, start="beef", val=(1.0,), ood=(1.0,)):
    """Write the files that a run leaves in the folder: its facts, and its metrics by step."""
    (variant,) = (v for v in VARIANTS if v.name == name and v.task == task)
    facts = {"name": name, "task": task, "part": variant.part, "start": start, "seed": seed, "steps": len(steps)}
    facts |= {"options": [], "commit": "abc", "date": "2026-01-01", "hardware": "1 x C"}
    facts["validation"] = {str(len(steps)): {"val": list(val), "ood": list(ood)}}
    facts |= {"attacked": [0.0, 0.5]} if variant.attacked else {}
    (folder / f"{variant.key}_seed{seed}_{start}.json").write_text(json.dumps(facts))
    text = "".join(json.dumps({"step": step, "data": data}) + "\n" for step, data in enumerate(steps, 1))
    (folder / f"{variant.key}_seed{seed}_{start}.metrics.jsonl.xz").write_bytes(lzma.compress(text.encode()))


@pytest.mark.slow
def test_an_evaluation_under_attack_that_fails_ends_the_command(tmp_path):
    with pytest.raises(SystemExit, match=r"attacked.log: the evaluation under attack failed"):
        answers_under_attack(tmp_path, 1, tmp_path / "val.parquet", 8)
    assert "global_step_1/actor: got no such folder" in (tmp_path / "attacked.log").read_text()


def test_each_variant_has_files_of_its_own():
    assert len({variant.key for variant in VARIANTS}) == len(VARIANTS)


def test_a_part_that_is_not_there_is_answered_with_those_that_are(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["evidence", "--only", "nothing"])
    with pytest.raises(SystemExit):
        command.main()
    err = capsys.readouterr().err
    assert "--only: got nothing, expected, with * for any text, one of methods/grounding_grpo, " in err
