"""VEPO's token signals against the straightforward float32 version, side by side: time, memory, error.

    PYTHONPATH=benchmarks python -m speed.vepo_signals [--tokens 1024] [--vocabulary 151936] [--rounds 5]

Prints Markdown tables. On a CPU they include the times with one thread, and with another process keeping a core busy;
on a GPU the share of the copy bandwidth measured in the same run.
"""

from __future__ import annotations

import argparse
import math
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import torch

from verl_plugins.kernels.divergence import divergence


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory-of", choices=VERSIONS, help=argparse.SUPPRESS)  # print the memory of one version
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    logits, perturbed = inputs(arguments.tokens, arguments.vocabulary, device)
    if arguments.memory_of:
        print(extra_memory(arguments.memory_of, logits, perturbed))
        return

    times = interleaved_times(arguments.rounds, logits, perturbed)
    reference = exact_jsd(logits[:64], perturbed[:64])
    print(f"{arguments.tokens} tokens x {arguments.vocabulary} vocabulary, bf16, {hardware(device)}\n")
    print("| version | seconds (median) | times faster | extra memory, MiB | relative error of the JSD, at most |")
    print("|---|---|---|---|---|")
    for name, version in VERSIONS.items():
        error = ((version(logits[:64], perturbed[:64])[0].double() - reference).abs() / reference).max().item()
        own = [sys.executable, __file__, f"--tokens={arguments.tokens}", f"--vocabulary={arguments.vocabulary}"]
        memory = float(subprocess.run([*own, f"--memory-of={name}"], capture_output=True, text=True, check=True).stdout)
        print(f"| {name} | {median(times[name]):.3f} | {ratio(times, name):.1f} | {memory:.0f} | {error:.1e} |")
    if device == "cuda":
        print(f"\nshare of the measured copy bandwidth: {bandwidth_share(logits, median(times['chunked'])):.0%}")
        return

    print("\n| setting | straightforward, seconds (median) | chunked, seconds (median) | times faster |")
    print("|---|---|---|---|")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    print_setting("one thread", interleaved_times(arguments.rounds, logits, perturbed))
    torch.set_num_threads(threads)
    print_setting(f"{threads} threads", times)
    with busy_process():
        print_setting(f"{threads} threads, a busy process", interleaved_times(arguments.rounds, logits, perturbed))


def inputs(tokens: int, vocabulary: int, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Make bf16 logits with a few large values, like a language model's, and a perturbed copy."""
    generator = torch.Generator(device).manual_seed(0)
    logits = torch.empty(tokens, vocabulary, dtype=torch.bfloat16, device=device)
    perturbed = torch.empty_like(logits)
    for row in range(tokens):  # row by row, so that making the inputs does not set the process's peak
        clean = 3 * torch.randn(vocabulary, generator=generator, device=device)
        logits[row] = clean
        perturbed[row] = clean + 0.3 * torch.randn(vocabulary, generator=generator, device=device)
    return logits, perturbed


def straightforward(logits: torch.Tensor, perturbed: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Compute the formulas as written, in float32 over the whole batch, with the usual epsilon."""
    log_p, log_q = logits.float().log_softmax(dim=-1), perturbed.float().log_softmax(dim=-1)
    p, q = log_p.exp(), log_q.exp()
    log_m = ((p + q) / 2 + 1e-10).log()
    jsd = 0.5 * (p * (log_p - log_m)).sum(dim=-1) + 0.5 * (q * (log_q - log_m)).sum(dim=-1)
    return jsd, -(p * log_p).sum(dim=-1), -(q * log_q).sum(dim=-1)


def chunked(logits: torch.Tensor, perturbed: torch.Tensor) -> tuple[torch.Tensor, ...]:
    result = divergence(logits, perturbed)
    return result.jsd, result.entropy, result.perturbed_entropy


VERSIONS = {"straightforward": straightforward, "chunked": chunked}


def interleaved_times(rounds: int, logits: torch.Tensor, perturbed: torch.Tensor) -> dict[str, list[float]]:
    """Time every version in every round, in seconds; interleaved, so that a noisy machine affects all of them."""
    for version in VERSIONS.values():
        version(logits[:8], perturbed[:8])  # warm up
    times = {name: [] for name in VERSIONS}
    for _ in range(rounds):
        for name, version in VERSIONS.items():
            times[name].append(timed(version, logits, perturbed))
    return times


def ratio(times: dict[str, list[float]], name: str) -> float:
    """Speed-up over the straightforward version of the same round; the median."""
    return median(a / b for a, b in zip(times["straightforward"], times[name], strict=True))


def print_setting(setting: str, times: dict[str, list[float]]) -> None:
    straightforward, chunked = median(times["straightforward"]), median(times["chunked"])
    print(f"| {setting} | {straightforward:.3f} | {chunked:.3f} | {ratio(times, 'chunked'):.1f} |", flush=True)


@contextmanager
def busy_process() -> Iterator[None]:
    """Run another process that computes without pause."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def timed(version, *arguments) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    version(*arguments)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def exact_jsd(logits: torch.Tensor, perturbed: torch.Tensor) -> torch.Tensor:
    log_p, log_q = logits.double().log_softmax(dim=-1), perturbed.double().log_softmax(dim=-1)
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    return 0.5 * ((log_p.exp() * (log_p - log_m)).sum(-1) + (log_q.exp() * (log_q - log_m)).sum(-1))


def extra_memory(name: str, logits: torch.Tensor, perturbed: torch.Tensor) -> float:
    """Peak memory beyond the inputs in MiB, of the GPU's allocator or of this process."""
    if logits.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        VERSIONS[name](logits, perturbed)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    VERSIONS[name](logits[:1, :1000], perturbed[:1, :1000])  # what torch loads on first use
    before = peak_rss()
    VERSIONS[name](logits, perturbed)
    return peak_rss() - before


def peak_rss() -> float:
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def bandwidth_share(logits: torch.Tensor, seconds: float) -> float:
    """Rate of reading both logits once, as a share of the rate at which a device copy reads and writes."""
    copy = min(timed(torch.empty_like(logits).copy_, logits) for _ in range(20))
    size = logits.numel() * logits.element_size()
    return (2 * size / seconds) / (2 * size / copy)


def hardware(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    with open("/proc/cpuinfo") as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "CPU")
    return f"{model or platform.processor()}, {torch.get_num_threads()} threads"


if __name__ == "__main__":
    main()
