"""Helpers of the evaluation's tests: rows, a model folder without a model, and responses without vLLM."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from verl_plugins.evaluate.evaluation import EvaluationJob, run_evaluation
from verl_plugins.evaluate.responder import Responder, Response
from verl_plugins.evaluate.settings import Settings

SIZE = (40, 30)


def png(colour=(200, 10, 10), size=SIZE, mode="RGB"):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def own_row(number, gold="[0, 0, 10, 10]", source="refcoco", **extra_info):
    return {
        "data_source": source,
        "prompt": [{"role": "user", "content": f"<image>question {number}"}],
        "images": [{"bytes": png((number % 256, 0, 0)), "path": None}],
        "ability": "grounding",
        "reward_model": {"style": "rule", "ground_truth": gold},
        "extra_info": {
            "split": "val",
            "index": number,
            "id": f"id{number}",
            "question": f"question {number}",
            "answer": gold,
            "orig_w": SIZE[0],
            "orig_h": SIZE[1],
            "image_sha256": "",
            **extra_info,
        },
    }


def write(path, rows):
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=4)
    return path


def model(tmp_path, model_type="qwen3_vl"):
    folder = tmp_path / "model"
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    (folder / "model.safetensors").write_bytes(b"0123456789" * 1000)
    return folder


class Answers(Responder):
    """A responder that answers a row with a function of its number, and records the rows it was asked."""

    def __init__(self, answer):
        self.answer, self.batches, self.keys = answer, [], []

    def __call__(self, rows, keys, attack=None):
        numbers = [row["extra_info"]["index"] for row in rows]
        self.batches.append(numbers)
        self.keys += keys
        return [Response(self.answer(number), 3, "stop") for number in numbers]

    def release(self):
        pass


def job(tmp_path, data, out="out", reward=None, **settings):
    reward = {"grounding": {"box_space": "pixels"}} if reward is None else reward
    data = data if isinstance(data, tuple) else (data,)
    settings = Settings(reward=reward, **settings)
    return EvaluationJob(model(tmp_path), data, tmp_path / out, settings)


def evaluate(a_job, answer):
    """Run an evaluation and return (exit code, responder, lines, summary)."""
    responder = answer if isinstance(answer, Answers) else Answers(answer)
    code = run_evaluation(a_job, start=lambda *_: responder)
    lines = [json.loads(line) for line in (a_job.out / "results.jsonl").read_text().splitlines()]
    return code, responder, lines, json.loads((a_job.out / "summary.json").read_text())
