"""The benchmarks that papers report out of domain, read as they come from the Hub; a file each."""

from verl_plugins.evaluate.benchmarks import hallusion_bench, math_vision, mathverse, mathvista, we_math

BENCHMARKS = (
    mathvista.FORMAT,
    mathverse.FORMAT,
    math_vision.FORMAT,
    hallusion_bench.FORMAT,
    we_math.FORMAT,
)
