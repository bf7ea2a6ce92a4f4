"""Records of what VEPO and VPPO selected, and their sections in the report."""

import base64
import io
import json
import re

import numpy as np
import torch
from omegaconf import OmegaConf
from PIL import Image
from transformers import Qwen2VLImageProcessor

from verl_plugins.components.records import Recorder, picture, png
from verl_plugins.components.token_records import token_records
from verl_plugins.methods.batch import AdvantageBatch
from verl_plugins.methods.vppo.apply import token_signals
from verl_plugins.methods.vppo.maths import VPPOConfig
from verl_plugins.report.tokens import tokens_sections
from verl_plugins.vision.layout import layout_of


def write(folder, step, result, kind="tokens"):
    Recorder(OmegaConf.create({"trainer": {"record_dir": str(folder), "test_freq": 2}})).write(kind, step, result)


class Tokenizer:
    def decode(self, ids, **_):
        return "".join(f"<{int(token)}>" for token in ids)


def records():
    signals = {
        "score": torch.tensor([[0.0, 1.0, 0.0], [0.25, 0.5, 0.1]]),
        "kept": torch.tensor([[0.0, 2.5, 0.0], [0.0, 2.5, 0.0]]),
        "entropy": torch.tensor([[1.0, 0.5, 9.0], [0.1, 0.2, 0.3]]),
        "jsd": torch.tensor([[0.0, 0.12345, 9.0], [0.0, 0.0, 0.0]]),
        "perturbed_entropy": torch.tensor([[1.0, 0.75, 9.0], [0.1, 0.2, 0.3]]),
    }
    responses = [torch.tensor([5, 6]), torch.tensor([7, 8, 9])]
    prompts = [torch.tensor([1]), torch.tensor([1])]
    return token_records(Tokenizer(), responses, prompts, signals, torch.tensor([1.0, 0.5]), torch.tensor([0, 1]))


def test_a_record_has_one_number_a_token():
    first, second = records()
    assert first["tokens"] == ["<5>", "<6>"] and first["score"] == [0.0, 1.0] and first["jsd"] == [0.0, 0.12345]
    assert second["group"] == 1 and second["reward"] == 0.5 and second["prompt"] == "<1>"


def test_a_record_may_lack_entropy_and_image(tmp_path):
    """A random selection reads neither, and in bypass mode neither is computed."""
    bare = [
        {name: record[name] for name in record if name not in ("entropy", "jsd", "perturbed_entropy")}
        for record in records()
    ]
    write(tmp_path, 1, bare)
    html = tokens_sections(tmp_path, 1, notes=[])
    assert 'title="score 1.000"' in html and 'title="score 0.500"' in html


def test_the_picture_is_what_the_model_sees():
    pixels = np.random.default_rng(0).integers(0, 256, (56, 84, 3), dtype=np.uint8)
    processor = Qwen2VLImageProcessor(patch_size=14, merge_size=2, min_pixels=28 * 28)
    inputs = dict(processor([Image.fromarray(pixels)], return_tensors="pt"))
    encoded = picture(inputs, layout_of(processor))
    decoded = np.array(Image.open(io.BytesIO(base64.b64decode(encoded))))
    assert np.array_equal(decoded, pixels)
    assert picture({}, layout_of(processor)) is None


def test_the_section_shows_steps_over_time_and_marks_what_was_kept(tmp_path):
    attack = records()
    attack[0]["tokens"][0] = "<script>"
    clean, perturbed = (png(torch.full((3, 2, 2), level, dtype=torch.uint8)) for level in (7, 9))
    attack[0] |= {"picture": clean, "perturbed_picture": perturbed}
    for step in (1, 2, 3, 4, 5, 6, 9):
        write(tmp_path, step, attack)
    html = tokens_sections(tmp_path, last_step=6, notes=[])
    assert re.findall(r"Step (\d+):", html) == ["1", "3", "4", "6"]  # round(i * 5 / 3) for i in 0…3
    assert re.findall(r'<details class="step"( open)?>', html) == [" open", "", "", " open"]
    assert html.count('class="token kept"') == 4 * 2 + 1  # two a step, and the legend's
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "score 1.000, JSD 0.1235, H 0.500, ΔH +0.250" in html or "JSD 0.1234" in html
    assert html.count(f"data:image/png;base64,{clean}") == html.count(f"data:image/png;base64,{perturbed}") == 4


def test_no_records_no_section(tmp_path):
    assert tokens_sections(tmp_path, last_step=3, notes=[]) == ""


def test_records_without_a_counterfactual_are_shown_too(tmp_path):
    record = {key: value for key, value in records()[0].items() if key not in ("jsd", "perturbed_entropy")}
    write(tmp_path, 1, [record])
    assert json.loads((tmp_path / "tokens" / "1.jsonl").read_text()) == record
    html = tokens_sections(tmp_path, last_step=1, notes=[])
    assert "score 1.000, H 0.500" in html and "JSD 0" not in html


def test_vppos_records_have_a_section_of_their_own(tmp_path):
    kl = torch.tensor([[0.5, 0.125, 9.0], [0.0, 0.0, 0.0]])
    mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
    ones, groups = torch.ones(2, 3), torch.arange(2)
    batch = AdvantageBatch(ones, mask, old_log_probs=-ones, rewards=ones[:, 0], groups=groups, columns={"kl": kl})
    signals = token_signals(batch, VPPOConfig(fraction=0.5, weight_min=0.9))
    assert signals["score"].tolist() == [[1.0, 0.25, 0.0], [0.0, 0.0, 0.0]]
    assert signals["kept"].tolist() == [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]]  # the second row has no image
    responses, prompts = [torch.tensor([5, 6]), torch.tensor([7, 8, 9])], [torch.tensor([1])] * 2
    rows = token_records(Tokenizer(), responses, prompts, signals, ones[:, 0], groups)
    write(tmp_path, 1, rows, kind="vppo_tokens")
    html = tokens_sections(tmp_path, 1, notes=[])
    assert "What VPPO selected" in html and "What VEPO selected" not in html
    assert "score 1.000, KL 0.5000" in html and "1 of 2 tokens kept" in html
