"""InternVL3 (-hf): what verl lacks of it, and that the plugin's parts agree with vLLM's and with the model."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers
from bare_engine import bare_engine
from PIL import Image
from tensordict import TensorDict
from tiny_families import internvl3
from transformers import AutoModelForImageTextToText
from verl.experimental.agent_loop.agent_loop import AgentLoopWorker
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils import tensordict_utils as tu
from verl.utils.tokenizer.continuous_token_wiring import create_continuous_token_builder
from verl.workers.config import HFModelConfig

from verl_plugins.components.agent_loops import ImageSingleTurnAgentLoop, SeededSingleTurnAgentLoop
from verl_plugins.components.counterfactual import Counterfactual
from verl_plugins.demo.tiny_vlm import CHAT_TEMPLATE
from verl_plugins.internvl import InternVLClient, InternVLModelConfig, collapse_images
from verl_plugins.methods.saei.adversarial_loops import AdversarialSingleTurnAgentLoop

TILES = {"crop_to_patches": True, "max_patches": 2}
EAGER = {"attn_implementation": "sdpa"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("internvl")
    config, processor = internvl3()
    processor.chat_template = CHAT_TEMPLATE.replace("<|vision_start|><|image_pad|><|vision_end|>", "<IMG_CONTEXT>")
    config.save_pretrained(path)
    processor.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def model_config(folder):
    return InternVLModelConfig(path=folder, override_config=EAGER)


@pytest.fixture(scope="module")
def prompt(model_config):
    """A prompt with one image as verl's agent loop makes it, and the image."""
    pixels = np.random.default_rng(0).integers(0, 256, (300, 500, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    builder = create_continuous_token_builder(
        model_config.tokenizer, hf_model_type="internvl", processor=model_config.processor, mm_processor_kwargs=TILES
    )
    content = [{"type": "image", "image": image}, {"type": "text", "text": "the red square"}]
    return builder.build_initial_tokens([{"role": "user", "content": content}], images=[image]), image


def test_verl_alone_loads_no_processor(folder, model_config):
    with pytest.warns(UserWarning, match="Unsupported processor type: InternVLProcessor"):
        assert HFModelConfig(path=folder, override_config=EAGER).processor is None
    assert isinstance(model_config.processor, transformers.InternVLProcessor)
    assert model_config.get_processor() is model_config.processor


def test_another_model_is_refused(tmp_path):
    from verl_plugins.demo.tasks import TASKS
    from verl_plugins.demo.tiny_vlm import build_tiny_vlm

    build_tiny_vlm(tmp_path, TASKS["grounding"])
    with pytest.raises(ValueError, match="got a qwen2_5_vl model, expected internvl; set .*_target_"):
        InternVLModelConfig(path=str(tmp_path), override_config=EAGER)


def test_a_saved_processor_loads_without_this_package(model_config, tmp_path):
    model_config.processor.save_pretrained(tmp_path)
    assert type(transformers.AutoProcessor.from_pretrained(tmp_path)) is transformers.InternVLProcessor


def test_vllm_makes_the_prompt_again_from_the_collapsed_one(folder, model_config, prompt):
    from vllm.config import ModelConfig
    from vllm.multimodal import MULTIMODAL_REGISTRY

    ids, image = prompt
    processor = model_config.processor
    collapsed = collapse_images(ids, processor)
    assert collapsed.count(processor.image_token_id) == 1
    config = ModelConfig(model=folder, tokenizer=folder, dtype="float32", enforce_eager=True, max_model_len=2048)
    engine = MULTIMODAL_REGISTRY.create_processor(config)

    def expanded(tokens):
        items = engine.info.parse_mm_data({"image": [image]})
        return list(engine(prompt=tokens, mm_items=items, hf_processor_mm_kwargs=TILES)["prompt_token_ids"])

    assert expanded(collapsed) == ids
    assert expanded(ids) != ids, "verl sends the whole prompt: if vLLM took it, collapsing could go"


def test_two_images_are_collapsed_apart():
    processor = SimpleNamespace(image_token_id=7, start_image_token_id=8, end_image_token_id=9)
    assert collapse_images([1, 8, 7, 7, 9, 2, 8, 7, 9, 8, 7, 7, 9, 3], processor) == [1, 7, 2, 7, 7, 3]
    assert collapse_images([1, 8, 2, 9], processor) == [1, 8, 2, 9]


def test_the_training_inputs_of_a_response_have_as_many_features_as_tokens(model_config, prompt):
    ids, image = prompt
    output = SimpleNamespace(multi_modal_data={"images": [image]}, mm_processor_kwargs=TILES)
    worker = SimpleNamespace(processor=model_config.processor, tokenizer=model_config.tokenizer)
    response = model_config.tokenizer.encode("the red square")
    inputs = AgentLoopWorker._compute_multi_modal_inputs(worker, output, torch.tensor([ids + response]))
    tiles = len(inputs["pixel_values"])
    assert tiles == 3  # two and the thumbnail
    assert ids.count(model_config.processor.image_token_id) == tiles * 16  # of the tiny model, 256 of the real one
    # Without the plugin's processor verl's text, which has lost its image token, is refused.
    plain = transformers.AutoProcessor.from_pretrained(model_config.path)
    with pytest.raises(ValueError, match="Number of image placeholders in the prompt does not match"):
        worker = SimpleNamespace(processor=plain, tokenizer=model_config.tokenizer)
        AgentLoopWorker._compute_multi_modal_inputs(worker, output, torch.tensor([ids + response]))


def test_every_loop_talks_to_the_server_through_the_client(monkeypatch, model_config, prompt):
    def __init__(self, *args, server_manager, processor, **kwargs):
        self.server_manager, self.processor = server_manager, processor

    monkeypatch.setattr(SingleTurnAgentLoop, "__init__", __init__)
    asked = []

    async def generate(**kwargs):
        asked.append(kwargs)

    server, processor = SimpleNamespace(generate=generate), model_config.processor
    for loop_class in (ImageSingleTurnAgentLoop, SeededSingleTurnAgentLoop, AdversarialSingleTurnAgentLoop):
        loop = loop_class(server_manager=server, processor=processor, hf_model_type="internvl")
        assert isinstance(loop.server_manager, InternVLClient)
        loop = loop_class(server_manager=server, processor=processor, hf_model_type="qwen2_5_vl")
        assert loop.server_manager is server
    parameters = {"temperature": 1.0}
    client = InternVLClient(server, processor)
    asyncio.run(client.generate(prompt_ids=prompt[0], sampling_params=parameters, request_id="1"))
    assert asked == [
        {
            "prompt_ids": collapse_images(prompt[0], processor),
            "sampling_params": {"temperature": 1.0, "logit_bias": {processor.image_token_id: -100.0}},
            "request_id": "1",
        }
    ]
    assert parameters == {"temperature": 1.0}


@pytest.fixture
def engine(model_config, monkeypatch):
    for module in (
        "verl_plugins.training.engine",
        "verl_plugins.components.counterfactual",
        "verl.workers.engine.fsdp.transformer_impl",
    ):
        monkeypatch.setattr(sys.modules[module], "get_device_id", lambda: "cpu")
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(model_config.hf_config).float()
    return bare_engine(model, model_config.processor, micro_batch_size=2)


@pytest.fixture
def batch(model_config, prompt):
    """Two responses to the prompt, as verl's workers get them: positions of one dimension, not Qwen's four."""
    ids, image = prompt
    pixel_values = model_config.processor(images=[image], text=["?"], return_tensors="pt", **TILES)["pixel_values"]
    responses = [torch.tensor([5, 6, 7]), torch.tensor([8, 9])]
    rows = [torch.cat([torch.tensor(ids), response]) for response in responses]
    tensors = {
        "input_ids": rows,
        "position_ids": [torch.arange(len(row)) for row in rows],
        "response_mask": [torch.ones_like(response) for response in responses],
    }
    nested = {name: torch.nested.as_nested_tensor(parts, layout=torch.jagged) for name, parts in tensors.items()}
    data = TensorDict(nested, batch_size=[2])
    fields = {"multi_modal_inputs": [{"pixel_values": pixel_values}] * 2, "uid": ["a", "a"], "index": [0, 0]}
    for name, values in fields.items():
        tu.assign_non_tensor_stack(data, name, values)
    tu.assign_non_tensor(data, temperature=1.0, use_remove_padding=False)
    return data


def loss(model_output, data, dp_group):
    return -model_output["log_probs"].values().mean(), {}


def test_the_engine_trains_on_what_the_loop_makes(engine, batch):
    result, _ = engine.forward_step(batch, loss, forward_only=False)
    result.backward()
    towers = [parameter.grad for name, parameter in engine.module.named_parameters() if "vision_tower" in name]
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in towers)


@pytest.mark.parametrize("packed", [False, True])
def test_vepos_second_forward_sees_another_image(engine, batch, packed):
    with torch.no_grad():
        plain = engine.forward_step(batch, loss, forward_only=True)[1]["model_output"]["log_probs"]
        tu.assign_non_tensor(batch, use_remove_padding=packed)
        tu.assign_non_tensor(batch, verl_plugins_request=Counterfactual("gaussian", 2.0, seed=0, step=1))
        result = engine.forward_step(batch, None, forward_only=True)[1]["model_output"]
    for row, length in enumerate((3, 2)):
        span = slice(-1 - length, -1)
        torch.testing.assert_close(result["log_probs"][row][span], plain[row][span], atol=1e-5, rtol=1e-4)
        assert (result["jsd"][row][span] > 0).all()
