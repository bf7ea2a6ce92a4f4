"""Benchmarks that papers report as out of domain, read as the Hub publishes them; one file per benchmark."""

from verl_plugins.evaluate.benchmarks import hallusion_bench, math_vision, mathverse, mathvista, we_math

BENCHMARKS = (
    mathvista.FORMAT,
    mathverse.FORMAT,
    math_vision.FORMAT,
    hallusion_bench.FORMAT,
    we_math.FORMAT,
)
