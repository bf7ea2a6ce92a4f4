"""Two updates by verl's FSDP2 engine with a frozen vision tower, a checkpoint, and what vLLM would be sent; as JSON.

Run by test_frozen_vision.py in a process of its own, because verl chooses its platform on import.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import gloo_engine
import torch

from verl_plugins.training.engine import EntropyEngine
from verl_plugins.training.frozen_vision import FrozenVisionEngine


def build(engine_class, model):
    return gloo_engine.build(engine_class, model, "float32")


def report(engine_class, model, folder):
    engine = build(engine_class, model)
    before = gloo_engine.weights(engine)
    gloo_engine.update(engine)
    gloo_engine.update(engine)
    after = gloo_engine.weights(engine)
    engine.save_checkpoint(str(folder))
    resumed = build(engine_class, model)
    resumed.load_checkpoint(str(folder))
    loaded = gloo_engine.weights(resumed)
    gloo_engine.update(engine)
    gloo_engine.update(resumed)
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    tower = [name for name in before if ".visual." in name or name.startswith("visual.")]
    bytes_of = sum(value.numel() * 4 for state in engine.optimizer.state.values() for value in state.values())
    ours, theirs = gloo_engine.weights(engine), gloo_engine.weights(resumed)
    return {
        "tower": tower,
        "others": [name for name in before if name not in tower],
        "changed": changed,
        "numbers": sum(before[name].numel() for name in tower),
        "states": len(engine.optimizer.state),
        "state_bytes": bytes_of,
        "loaded": all(torch.equal(after[name], loaded[name]) for name in after),
        "resumed": all(torch.equal(ours[name], theirs[name]) for name in ours),
    }


def write_reports(model: Path, folder: Path) -> None:
    frozen = report(FrozenVisionEngine, model, folder / "frozen")
    trained = report(EntropyEngine, model, folder / "trained")
    (folder / "report.json").write_text(json.dumps({"frozen": frozen, "trained": trained}))


if __name__ == "__main__":
    where = Path(sys.argv[1])
    gloo_engine.in_ranks(1, write_reports, gloo_engine.build_model(where), where)
