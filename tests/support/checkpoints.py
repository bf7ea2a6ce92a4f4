"""A checkpoint of verl must become a model that transformers loads, with the same logits."""

import json
import subprocess
import sys

import torch
from transformers import AutoModelForImageTextToText


def assert_merges_and_loads(actor, before, merged):
    """Merge with verl's own command: its result gives the logits of the model that verl exported, not those of before.

    Args:
        actor: the checkpoint's folder "actor", with the exported model in "huggingface".
        before: folder of the model that training began with.
        merged: where the merged model goes.
    """
    command = ["-m", "verl.model_merger", "merge", "--backend", "fsdp"]
    command += [f"--local_dir={actor}", f"--target_dir={merged}", "--use_cpu_initialization"]
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    trained, exported, untrained = (
        AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
        for folder in (merged, actor / "huggingface", before)
    )
    for parameter in exported.parameters():  # verl's merge command writes bfloat16
        parameter.data = parameter.data.bfloat16().float()
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        logits, same, old = (model(input_ids=ids).logits for model in (trained, exported, untrained))
    assert torch.equal(logits, same) and not torch.equal(logits, old)
    assert json.loads((actor / "huggingface" / "config.json").read_text())["model_type"] == trained.config.model_type
