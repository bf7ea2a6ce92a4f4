"""Evaluations under attack without vLLM: its requests are answered by a function of their images."""

import json
from io import BytesIO

import numpy as np
from evaluation_run import own_row
from PIL import Image

from verl_plugins.evaluate.attack_settings import AttackSettings
from verl_plugins.evaluate.evaluation import EvaluationJob, run_evaluation
from verl_plugins.evaluate.responder import Response, VllmResponder
from verl_plugins.evaluate.settings import Settings

RIGHT = "<answer>[0, 0, 10, 10]</answer>"


class FakeVllm(VllmResponder):
    """Builds prompts as the evaluation does, keeps the images that vLLM would get, and answers without vLLM."""

    def __init__(self, folder, settings):
        super().__init__(folder, settings, 1)
        self.asked, self.released = [], 0

    def release(self):
        self.released += 1

    def _sampling(self, prompt_length, key):
        return key

    def _generate(self, requests, parameters):
        responses = []
        for request, key in zip(requests, parameters, strict=True):
            images = [np.asarray(image) for image in request["multi_modal_data"].get("image", [])]
            self.asked.append((key, images))
            responses.append(Response(RIGHT, 6, "stop", "", [20 + len(key) % 7, 30, 41, 52, 63, 74]))
        return responses


def image_row(number, size=(84, 84)):
    """A row whose image has every level from 0 to 255."""
    row = own_row(number)
    levels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    row["images"] = [{"bytes": buffer.getvalue(), "path": None}]
    return row


def attacked_job(folder, data, out, attack=None, strength=4, steps=1, **settings):
    settings = {"batch_size": 2, "dtype": "float32", **settings}
    settings = Settings(reward={"grounding": {"box_space": "pixels"}}, **settings)
    attack = AttackSettings(attack, strength, steps) if attack else None
    return EvaluationJob(folder, (data,), out, settings, attack=attack)


def run_attacked(a_job):
    """Run an evaluation and return (what vLLM would have been asked, lines, summary)."""
    responders = []

    def start(folder, settings, _):
        responders.append(FakeVllm(folder, settings))
        return responders[-1]

    assert run_evaluation(a_job, start) == 0
    lines = [json.loads(line) for line in (a_job.out / "results.jsonl").read_text().splitlines()]
    return responders[0] if responders else None, lines, json.loads((a_job.out / "summary.json").read_text())
