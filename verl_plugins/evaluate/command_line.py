"""The command line of the evaluation, without heavy imports."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Let a model answer the rows of parquet files through vLLM, score the answers by the rewards of training, and write
per-row results, a summary with 95% confidence intervals, and a page of wins and failures. Start the same command again
after an interruption and it goes on. `compare DIR_A DIR_B` puts two finished evaluations side by side; `export DIR`
writes one in the format of VLMEvalKit or lmms-eval."""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", type=Path, required=True, help="folder with config.json and weights, or a checkpoint"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        nargs="+",
        metavar="FILE",
        help="parquet files, or benchmarks' own files or folders",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.add_argument("--format", help="format of the data (default: recognised by its columns)")
    parser.add_argument("--sample", type=int, metavar="N", help="draw N rows of each file; VLM-R1 draws 2000")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="at most the first N rows of each file, or of its sample"
    )
    parser.add_argument("--seed", type=int, default=42, help="of the sample and of sampled answers (default: 42)")
    parser.add_argument("--temperature", type=float, default=0.0, help="of sampling (default: 0, the likeliest token)")
    parser.add_argument("--max-prompt-length", type=int, default=8192, metavar="TOKENS", help="default: %(default)s")
    parser.add_argument("--max-response-length", type=int, default=2048, metavar="TOKENS", help="default: %(default)s")
    parser.add_argument(
        "--batch-size", type=int, default=256, metavar="ROWS", help="rows between two writes to disk (256)"
    )
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float16", "float32"),
        help="of the model in vLLM (default: as verl's rollout, bfloat16; float32 on the CPU)",
    )
    parser.add_argument(
        "--tensor-parallel-size", type=int, default=1, metavar="GPUS", help="of a copy of the model (default: 1)"
    )
    parser.add_argument(
        "--data-parallel",
        type=int,
        default=1,
        metavar="COPIES",
        help="of the model; the results are the same (1)",
    )
    parser.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="spread the copies over this Ray cluster (auto: the one that this machine is in); its machines see the "
        "model's folder and --out under the same paths",
    )
    parser.add_argument(
        "--reward",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="reward_kwargs of reward_fns.auto: grounding.form=think_answer math.preset=mm_eureka routes.my_data=math. "
        "Boxes are read in the space of the model's family unless grounding.box_space says otherwise",
    )
    parser.add_argument(
        "--processor",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="data.mm_processor_kwargs of training: min_pixels=262144 max_pixels=1000000 (default: as saved)",
    )
    parser.add_argument(
        "--chat-template",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="data.apply_chat_template_kwargs of training: enable_thinking=false for Qwen3.5 as the recipes train it",
    )
    parser.add_argument(
        "--attack",
        metavar="NAME",
        help="attack the images first: gaussian (noise), random (random signs), or a method's attack along the model's "
        "own gradient (saei); with --strength. Another evaluation than the clean one: give it its own --out",
    )
    parser.add_argument(
        "--strength",
        type=float,
        metavar="LEVELS",
        help="in 8-bit levels: standard deviation of gaussian, size of a step of the others",
    )
    parser.add_argument(
        "--attack-steps", type=int, default=1, metavar="N", help="steps along the gradient (default: 1)"
    )
    parser.add_argument(
        "--judge", metavar="URL", help="ask an OpenAI-compatible endpoint too (http://host:8000/v1; key: JUDGE_API_KEY)"
    )
    parser.add_argument("--judge-model", metavar="NAME", help="the model's name there")
    parser.add_argument("--judge-sources", nargs="+", default=[], metavar="NAME", help="data sources to judge (all)")


def _run(arguments: argparse.Namespace) -> int:
    from verl_plugins.evaluate.attack_settings import AttackSettings
    from verl_plugins.evaluate.device import default_dtype
    from verl_plugins.evaluate.evaluation import EvaluationJob, run_evaluation
    from verl_plugins.evaluate.judge import Judge
    from verl_plugins.evaluate.parallel_responder import Copies
    from verl_plugins.evaluate.settings import Settings

    if bool(arguments.judge) != bool(arguments.judge_model):
        raise SystemExit("--judge, --judge-model: got one of them, expected both: an endpoint and a model's name there")
    attack = None
    if (arguments.attack is None) != (arguments.strength is None):
        raise SystemExit("--attack, --strength: got one of them, expected both: a name and its strength")
    if arguments.attack is not None:
        attack = AttackSettings(arguments.attack, arguments.strength, arguments.attack_steps)
    elif arguments.attack_steps != 1:
        raise SystemExit(f"--attack-steps: got {arguments.attack_steps} without --attack, expected both or neither")
    judge = Judge(arguments.judge, arguments.judge_model, tuple(arguments.judge_sources)) if arguments.judge else None
    settings = Settings(
        sample=arguments.sample,
        limit=arguments.limit,
        seed=arguments.seed,
        temperature=arguments.temperature,
        max_prompt_length=arguments.max_prompt_length,
        max_response_length=arguments.max_response_length,
        batch_size=arguments.batch_size,
        dtype=arguments.dtype or default_dtype(),
        reward=parse_settings(arguments.reward),
        processor=parse_values("--processor", arguments.processor),
        chat_template=parse_values("--chat-template", arguments.chat_template),
    )
    job = EvaluationJob(
        arguments.model,
        tuple(arguments.data),
        arguments.out,
        settings,
        arguments.format,
        Copies(arguments.data_parallel, arguments.tensor_parallel_size, arguments.ray_address),
        judge,
        attack,
    )
    return run_evaluation(job)


def parse_settings(assignments: list[str]) -> dict[str, Any]:
    """Parse `grounding.form=answer` to {"grounding": {"form": "answer"}}.

    Raises:
        SystemExit: an assignment is not of the form REWARD.SETTING=VALUE.
    """
    settings: dict[str, Any] = {}
    for name, value in parse_values("--reward", assignments).items():
        reward, dot, setting = name.partition(".")
        if not (dot and reward and setting):
            raise SystemExit(f"--reward: got {name!r}, expected REWARD.SETTING=VALUE, e.g. grounding.form=answer")
        settings.setdefault(reward, {})[setting] = value
    return settings


def parse_values(option: str, assignments: list[str]) -> dict[str, Any]:
    """Parse `max_pixels=1000000` to {"max_pixels": 1000000}; values are YAML, as on a verl command line.

    Raises:
        SystemExit: an assignment is not of the form NAME=VALUE, or its value is no YAML.
    """
    import yaml

    values = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (equals and name):
            raise SystemExit(f"{option}: got {assignment!r}, expected NAME=VALUE")
        try:
            values[name] = yaml.safe_load(text)
            json.dumps(values[name])
        except (yaml.YAMLError, TypeError):  # TypeError: a date, or a set, which no setting takes
            raise SystemExit(
                f"{option}: got {assignment!r}, whose value is no number, word or list to YAML, expected NAME=VALUE; "
                "put the value in quotes if it is a text"
            ) from None
    return values


def main(argv: list[str]) -> int:
    """Run `python -m verl_plugins.evaluate` and return the exit code."""
    if argv[:1] == ["compare"]:
        return _compare(argv[1:])
    if argv[:1] == ["export"]:
        return _export(argv[1:])
    parser = argparse.ArgumentParser(prog="python -m verl_plugins.evaluate", description=DESCRIPTION)
    _add_arguments(parser)
    return _run(parser.parse_args(argv))


def _compare(argv: list[str]) -> int:
    from verl_plugins.evaluate.compare import compare_runs

    parser = argparse.ArgumentParser(
        prog="python -m verl_plugins.evaluate compare",
        description="Two evaluations side by side: differences with intervals, paired tests, what changed.",
    )
    parser.add_argument("runs", type=Path, nargs=2, metavar="DIR", help="results folders, the baseline first")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for comparison.json and comparison.html")
    arguments = parser.parse_args(argv)
    baseline, other = arguments.runs
    return compare_runs(baseline, other, arguments.out)


def _export(argv: list[str]) -> int:
    from verl_plugins.evaluate.export.command import SUITES, export_run

    parser = argparse.ArgumentParser(
        prog="python -m verl_plugins.evaluate export",
        description="A finished evaluation of benchmarks in the format of another suite, to hold its numbers against.",
    )
    parser.add_argument("run", type=Path, metavar="DIR", help="results folder")
    parser.add_argument("--to", choices=SUITES, required=True, help="the suite")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    arguments = parser.parse_args(argv)
    return export_run(arguments.run, arguments.to, arguments.out)
