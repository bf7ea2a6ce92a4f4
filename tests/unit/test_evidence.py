"""The page of evidence is what its kept metrics say."""

import json
import lzma
import shutil
from pathlib import Path

import pytest
import yaml
from evidence_page import interval, paired, write_page
from evidence_variants import ABLATIONS, PAIRS, VARIANTS

from verl_plugins.methods import METHODS
from verl_plugins.methods.config import config_from_node

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_computed_from_the_kept_metrics(tmp_path):
    shutil.copytree(DOCS / "evidence", tmp_path / "evidence")
    write_page(tmp_path / "evidence", tmp_path / "evidence.md")
    assert (tmp_path / "evidence.md").read_text() == (DOCS / "evidence.md").read_text()


def test_means_differences_and_their_intervals(tmp_path):
    """Two seeds: GRPO's rewards 1 and 2, SaEI's 2 and 5; Student's t for one degree of freedom is 12.706."""
    for name, rewards in (("GRPO", (1.0, 2.0)), ("SaEI", (2.0, 5.0))):
        (variant,) = (v for v in VARIANTS if v.name == name and v.task == "grounding")
        for seed, reward in enumerate(rewards, 1):
            facts = {"name": name, "task": "grounding", "part": "methods", "seed": seed, "steps": 2, "options": []}
            facts |= {"commit": "abc", "date": "2026-01-01", "hardware": "1 x C", "validation": {"2": [0.0, 1.0]}}
            (tmp_path / f"{variant.key}_seed{seed}.json").write_text(json.dumps(facts))
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
            rows = [{"step": s, "data": data} for s in (1, 2)]
            text = "".join(json.dumps(row) + "\n" for row in rows)
            (tmp_path / f"{variant.key}_seed{seed}.metrics.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    write_page(tmp_path, tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| GRPO | 2 | 1.500 ± 6.353 | – | 0.500 ± 0.000 | – | 0.500 ± 0.000 | – | 0.500 ± 0.000 | – |" in page
    assert "| 0.625 ± 0.000 | +0.125 |" in page
    assert "| GRPO | 1.50 | 1.00 | 1.00 | – | – |\n| SaEI | 3.50 | 1.17 | 0.50 | – | 17.5% |" in page
    assert "| SaEI | 2 | 3.500 ± 19.059 | +2.000 ± 12.706 (0.30) | 0.500 ± 0.000 | +0.000 |" in page
    assert "| SaEI minus SaEI, random signs | 0 | – | – | – | – |" in page
    assert "Not run yet: ECVGPO, r0 = 10" in page and "| 4 | 2 | abc | 2026-01-01 | 1 x C |" in page
    assert (tmp_path / "grounding.svg").is_file()


def test_an_ablation_is_held_against_its_methods_default(tmp_path):
    for name, score, jsd in (("GRPO", 9.0, 9.0), ("VEPO, score D", 0.5, 0.25), ("VEPO, zero", 0.75, 0.5)):
        (variant,) = (v for v in VARIANTS if v.name == name and v.task == "reasoning")
        facts = {"name": name, "task": "reasoning", "part": variant.part, "seed": 1, "steps": 20, "options": []}
        facts |= {"commit": "abc", "date": "2026-01-01", "hardware": "1 x C", "validation": {"20": [1.0]}}
        effects = {"vepo/jsd": jsd, "vepo/entropy_gap": 2.0, "vepo/kept_missed_by_entropy": 0.125}
        times = {f"timing_s/{stage}": 1.0 for stage in ("step", "old_log_prob", "update_actor")}
        rows = [{"step": s, "data": {"critic/score/mean": score, "actor/entropy": 0.5, **times}} for s in range(1, 21)]
        for row in rows:
            row["data"] |= effects | {"vepo/jsd": 2 * jsd * (row["step"] > 10)}  # of all steps, not the last ones
        (tmp_path / f"{variant.key}_seed1.json").write_text(json.dumps(facts))
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{variant.key}_seed1.metrics.jsonl.xz").write_bytes(lzma.compress(text.encode()))
    write_page(tmp_path, tmp_path / "page.md")
    section = (tmp_path / "page.md").read_text().partition("### VEPO: the perturbed image")[2]
    assert "| run | seeds | reward | minus VEPO, score D (p) |" in section
    assert "| VEPO, score D (gaussian 2.0) | 1 | 0.500 | – |" in section
    assert "| VEPO, zero | 1 | 0.750 | +0.250 |" in section
    assert "| VEPO, score D (gaussian 2.0) | 0.25 | 2 | 0.125 |\n| VEPO, zero | 0.5 | 2 | 0.125 |" in section
    assert "Not run yet: VEPO, gaussian 0.5" in section


def test_one_seed_has_no_interval():
    assert interval([0.25]) == "0.250"
    assert paired([(1.0, 0.5)]) == "+0.500" and paired([]) == "–"


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
            config_class, _ = METHODS[method]
            config_from_node(config_class, knobs, f"algorithm.{method}")


def test_ablations_depart_from_a_variant_of_their_task():
    for variant in VARIANTS:
        if variant.part != "methods":
            assert (variant.task, ABLATIONS[variant.part].default) in {(v.task, v.name) for v in VARIANTS}


def test_pairs_are_of_variants_of_their_task():
    for task, pairs in PAIRS.items():
        assert {name for pair in pairs for name in pair} <= {v.name for v in VARIANTS if v.task == task}


def test_each_variant_has_files_of_its_own():
    assert len({variant.key for variant in VARIANTS}) == len(VARIANTS)
