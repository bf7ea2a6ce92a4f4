"""The Triton kernel compiled for three GPUs with the tools in Triton's wheel, without any of the GPUs."""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from types import SimpleNamespace

import pytest
import torch

from verl_plugins.kernels.divergence import FLOOR

triton = pytest.importorskip("triton")

QWEN = 151_936
INTERNVL3 = 151_674
A100, H100, B200 = 80, 90, 100  # compute capability


@pytest.fixture
def compile_launch(monkeypatch, tmp_path):
    """(compute capability, dtype, vocabulary) -> PTX, SASS, loads and resources of the kernel that would be launched.

    The launch has the grid, block, warps and alignments of a real one, and stops after the compilation.
    """
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver

    from verl_plugins.kernels import divergence_triton

    kernel = divergence_triton._kernel
    compiled = []
    run = kernel.run

    def compile_only(*arguments, grid, warmup, **options):
        compiled.append(run(*arguments, grid=grid, warmup=True, **options))

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))  # an old compilation would hide a change
    monkeypatch.setattr(kernel, "run", compile_only)
    monkeypatch.setattr(kernel, "device_caches", defaultdict(kernel.create_binder))

    def compile_for(capability, dtype, vocabulary):
        gpu = SimpleNamespace(
            get_current_device=lambda: capability,
            get_current_stream=lambda device: 0,
            get_current_target=lambda: GPUTarget("cuda", capability, 32),
        )
        monkeypatch.setattr(driver, "_active", gpu)
        logits = torch.zeros(2, vocabulary, dtype=dtype)
        divergence_triton.divergence_triton(logits, logits, torch.ones(2), FLOOR)
        binary = tmp_path / "kernel.cubin"
        binary.write_bytes(compiled[-1].asm["cubin"])
        tool = [triton.knobs.nvidia.cuobjdump.path, "-res-usage", "-sass", str(binary)]
        listing = subprocess.run(tool, capture_output=True, text=True, check=True).stdout
        usage = {name: int(number) for name, number in re.findall(r"(REG|STACK|LOCAL):(\d+)", listing)}
        loads = Counter(re.findall(r"\bLDG\.E\S*", listing))
        return compiled[-1].asm["ptx"], listing, loads, usage

    return compile_for


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("capability", [A100, H100, B200])
def test_registers_suffice_and_loads_are_wide(compile_launch, capability, dtype):
    ptx, sass, loads, usage = compile_launch(capability, dtype, QWEN)
    assert usage["STACK"] == usage["LOCAL"] == 0
    assert not re.search(r"\b(LDL|STL)\b", sass)  # nothing spilled
    assert usage["REG"] <= 128  # of 65,536 for a block's 256 threads: two blocks at a time
    # two logits, twice; eight elements a thread, in one load of bf16 or two of float32; and the scale
    assert loads == {"LDG.E.128": 4 if dtype == torch.bfloat16 else 8, "LDG.E": 1}
    # Only the polynomial of the logarithm flushes denormal numbers; its argument is of order 1.
    assert set(re.findall(r"\b[a-z][\w.]*\.ftz[\w.]*", ptx)) == {"fma.rn.ftz.f32"}


def test_rows_that_are_not_aligned_are_read_in_narrow_loads(compile_launch):
    _, _, loads, usage = compile_launch(H100, torch.bfloat16, INTERNVL3)
    assert loads == {"LDG.E.U16": 32, "LDG.E": 1}  # as divergence_triton's docstring says
    assert usage["REG"] <= 128
