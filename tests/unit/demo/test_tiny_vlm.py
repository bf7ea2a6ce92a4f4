"""The tiny Qwen2.5-VL: loads like the real one, agrees with its tokenizer and processor, and can be trained."""

import io

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from data_prep.synthetic.scenes import CELLS, SIDE
from data_prep.synthetic.shapes import make_row
from verl_plugins.demo.making.warmup import render
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm

GROUNDING = TASKS["grounding"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "model"
    build_tiny_vlm(path, GROUNDING)
    return path


@pytest.fixture(scope="module")
def processor(folder):
    return AutoProcessor.from_pretrained(folder)


@pytest.fixture(scope="module")
def model(folder):
    return AutoModelForImageTextToText.from_pretrained(folder)


def _inputs(processor, indices):
    rows = [make_row(index, "train", seed=0) for index in indices]
    images = [Image.open(io.BytesIO(row["images"][0]["bytes"])) for row in rows]
    texts = [render(processor, row["extra_info"]["question"]) for row in rows]
    return processor(text=texts, images=images, padding=True, padding_side="left", return_tensors="pt")


def test_the_vocabulary_is_exactly_the_tokenizer(folder, model):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.text_config.vocab_size == len(tokenizer) == model.get_input_embeddings().num_embeddings
    assert tokenizer.eos_token == "<|im_end|>" and tokenizer.eos_token_id in model.generation_config.eos_token_id


def test_every_coordinate_is_one_token_and_text_survives_the_round_trip(processor):
    tokenizer = processor.tokenizer
    assert all(len(tokenizer(str(number))["input_ids"]) == 1 for number in range(SIDE + 1))
    text = "<answer>[0, 28, 56, 84]</answer> Straße 1234 <b>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_sizes_that_vllm_and_mrope_demand(model):
    text = model.config.text_config
    head_dim = text.hidden_size // text.num_attention_heads
    assert head_dim == 32
    assert sum(text.rope_parameters["mrope_section"]) == head_dim // 2
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert sum(parameter.numel() for parameter in model.parameters()) < 3e6


def test_the_template_writes_what_qwen_writes(processor):
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Where?"}]},
    ]
    assert processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Where?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_an_image_keeps_its_size_and_has_one_token_per_four_patches(processor, model):
    inputs = _inputs(processor, range(3))
    assert inputs["image_grid_thw"].tolist() == [[1, SIDE // 14, SIDE // 14]] * 3
    tokens = (inputs["input_ids"] == model.config.image_token_id).sum(dim=1)
    assert tokens.tolist() == [CELLS**2] * 3
    assert inputs["pixel_values"].shape[0] == 4 * tokens.sum()


def test_the_forward_pass_is_finite_and_sees_the_image(processor, model):
    inputs = _inputs(processor, range(2))
    with torch.no_grad():
        logits = model(**inputs).logits
        blank = model(**{**inputs, "pixel_values": torch.zeros_like(inputs["pixel_values"])}).logits
    assert logits.shape == (*inputs["input_ids"].shape, len(processor.tokenizer)) and logits.isfinite().all()
    assert (logits[:, -1] - blank[:, -1]).abs().max() > 1e-3


def test_the_seed_alone_decides_the_weights(folder, tmp_path):
    before = torch.get_rng_state()
    build_tiny_vlm(tmp_path / "again", GROUNDING)
    build_tiny_vlm(tmp_path / "other", GROUNDING, seed=1)
    assert torch.equal(before, torch.get_rng_state())
    again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("again", "other"))
    assert (folder / "model.safetensors").read_bytes() == again != other
    assert (folder / "tokenizer.json").read_bytes() == (tmp_path / "again" / "tokenizer.json").read_bytes()
