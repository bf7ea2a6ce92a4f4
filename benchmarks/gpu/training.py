"""Stage: the whole stack. Ray, the FSDP2 actor in bf16, a vLLM server on the card; all three methods; a resumption."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from gpu.line import Line, not_run


def measure(device: str) -> Iterator[Line]:
    installed = packages_distributions()
    if missing := [name for name in ("ray", "vllm") if name not in installed]:
        yield not_run("training", f"{' and '.join(missing)} not installed; `pip install verl-plugins[gpu]` brings them")
        return
    from gpu.training_run import train  # imports what only a machine for training has

    with tempfile.TemporaryDirectory() as folder:
        yield from train(Path(folder), device, "flash_attn" in installed)
