"""``verl-plugins plan RECIPE --gpus 8 --memory 80``: estimates a run's memory and advises what to turn down."""

from __future__ import annotations

from collections.abc import Sequence

from verl_plugins.plan.advice import USABLE, Machines, advice, fits
from verl_plugins.plan.host import Phase, pixel_bytes
from verl_plugins.plan.memory import Plan, plan
from verl_plugins.plan.planned_config import planned_config, problems_of_plan
from verl_plugins.plan.precision import lost_updates
from verl_plugins.plan.shape import ModelShape, shape_of
from verl_plugins.plan.tensor_parallelism import check_tensor_parallelism
from verl_plugins.plan.workload import GIB, Workload, workload_of


def run_plan(
    words: Sequence[str], gpus: int | None, nodes: int | None, memory_gib: float, host_memory_gib: float | None
) -> int:
    """Print the plan of a run on ``nodes`` machines of ``gpus`` GPUs; returns 0 if it fits as it is, else 1."""
    try:
        name, config = planned_config(words, gpus, nodes)
        if problems := problems_of_plan(config):
            print(*(f"verl-plugins: {problem}" for problem in problems), sep="\n")
            return 1
        model = str(config.actor_rollout_ref.model.path)
        load = workload_of(config)
        shape = shape_of(model)
        check_tensor_parallelism(shape, load)
    except ValueError as error:
        print(f"verl-plugins: {error}")
        return 1
    machines = Machines(int(memory_gib * GIB), None if host_memory_gib is None else int(host_memory_gib * GIB))
    estimate = plan(shape, load, machines.gpu)
    number = f"{load.gpus} GPUs" if load.gpus > 1 else "1 GPU"
    print(f"{model}: {shape.parameters / 1e9:.2f} billion parameters, {number} of {memory_gib:g} GiB")
    print(f"estimated GiB of each GPU; {name} was not run for it\n")
    print(table(estimate.phases))
    print(f"\n{_limits(shape, load, estimate)}")
    print("\nestimated GiB of a machine's own memory, beside Python, Ray and the data set\n")
    print(table(estimate.host))
    print(f"\n{_images(shape, load)}\n")
    overrides, after = ([], estimate) if fits(estimate, machines) else advice(shape, load, machines)
    print(*_verdict(estimate, after, overrides, machines), *lost_updates(config, overrides), sep="\n")
    return 0 if fits(estimate, machines) else 1


def _verdict(estimate: Plan, after: Plan, overrides: Sequence[str], machines: Machines) -> list[str]:
    """Say in one of three wordings whether the run fits: as it is, with overrides, or not."""
    reserve = f"{1 - USABLE:.0%} of a GPU, {(1 - USABLE) * machines.gpu / GIB:.1f} GiB, is kept as a reserve"
    if fits(estimate, machines):
        return [f"fits as it is: {_largest(estimate, machines)}; {reserve}"]
    lines = [f"as it is, {_largest(estimate, machines)}; {reserve}"]
    if estimate.cache_lack:
        needs = f"{estimate.request_bytes / GIB:.1f} GiB of KV cache for its longest request"
        lines.append(f"as it is, vLLM would not start: it needs {needs}")
    if fits(after, machines):
        return [f"fits with these overrides: {_largest(after, machines)}", *(f"  {key}" for key in overrides), *lines]
    tried = [f"nor with these overrides ({_largest(after, machines)}):", *(f"  {key}" for key in overrides)]
    return [f"does not fit: {_last_resort(after, machines)}", *lines, *(tried if overrides else [])]


def _limits(shape: ModelShape, load: Workload, estimate: Plan) -> str:
    """Compare the largest image with the prompt's length, and a request with vLLM's KV cache."""
    row = load.prompt + load.response
    lines = [f"image: at most {estimate.image_tokens} of a prompt's {load.prompt} tokens"]
    if estimate.image_tokens > load.prompt:
        lines.append("  LONGER THAN THE PROMPT: such rows are filtered out; set data.max_prompt_length or fewer pixels")
    longest = load.max_model_len or shape.longest
    source = "rollout.max_model_len" if load.max_model_len else "the model's own, as rollout.max_model_len is not set"
    capacity = f"{estimate.cache_tokens:,} tokens, {estimate.cache_tokens // row} rows of {row}"
    lines.append(f"vLLM's KV cache: {capacity}; it must hold one request of {longest:,} ({source})")
    if longest < row:
        lines.append(f"  SHORTER THAN A ROW: responses are cut; set rollout.max_model_len to prompt + response, {row}")
    return "\n".join(lines)


def _images(shape: ModelShape, load: Workload) -> str:
    """Describe the number and size of the images in a step."""
    size = pixel_bytes(shape, load) / 2**20
    lines = [f"images: {load.rows:,} rows in a step, {size:.1f} MiB of pixel_values each at the most pixels"]
    if load.validation_prompts is None:
        lines.append("  validation's rows are not counted: neither data.val_batch_size nor data.val_max_samples is set")
    return "\n".join(lines)


def _largest(estimate: Plan, machines: Machines) -> str:
    usable = f"{USABLE * machines.gpu / GIB:.1f} usable of {machines.gpu / GIB:g} GiB"
    text = f"the largest phase takes {estimate.peak / GIB:.1f} of {usable}"
    if machines.host is None:
        return text
    return f"{text}, and of a machine {estimate.host_peak / GIB:.0f} of {machines.host / GIB:g}"


def _last_resort(after: Plan, machines: Machines) -> str:
    if machines.host is not None and after.host_peak > machines.host:
        return "take a smaller data.train_batch_size, fewer pixels, or more machines"
    return "take more or larger GPUs, or LoRA"


def table(phases: dict[str, Phase]) -> str:
    """Format parts by phase, in GiB, without parts that are always 0."""
    parts = list(dict.fromkeys(part for phase in phases.values() for part, size in phase.items() if size))
    rows = [["", *phases]]
    rows += [[part, *(_gib(phase.get(part)) for phase in phases.values())] for part in parts]
    rows.append(["sum", *(_gib(sum(phase.values())) for phase in phases.values())])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _gib(size: int | None) -> str:
    return f"{size / GIB:.1f}" if size else ""
