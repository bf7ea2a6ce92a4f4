"""The evaluation's prompts against those that verl's dataset and agent loop make; which folder is a model's."""

import asyncio
import json
import shutil

import pyarrow.parquet as pq
import pytest
import tiny_families
from evaluation_run import SIZE, own_row, png, write
from omegaconf import OmegaConf
from verl.experimental.agent_loop.agent_loop import DictConfigWrap
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop
from verl.utils import hf_processor, hf_tokenizer
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.workers.rollout.utils import qwen2_5_vl_dedup_image_tokens

from data_prep.convert.parquet_groups import write_parquet
from verl_plugins.components.agent_loops import ImageSingleTurnAgentLoop
from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.tiny_vlm import build_tiny_vlm
from verl_plugins.evaluate.model_folder import box_settings, model_folder, model_sha256
from verl_plugins.evaluate.prompt_builder import PromptBuilder
from verl_plugins.evaluate.responder import VllmResponder
from verl_plugins.evaluate.settings import Settings
from verl_plugins.internvl import InternVLModelConfig


class Asked(Exception):
    """Carries what the agent loop would send to the server."""


class Server:
    async def generate(self, **request):
        raise Asked(request["prompt_ids"], request["image_data"], request["sampling_params"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    build_tiny_vlm(path, TASKS["grounding"])
    return path


def by_verl(folder, file):
    """(token ids, images) of every row, as verl's validation makes them of the file."""
    tokenizer, processor = hf_tokenizer(str(folder)), hf_processor(str(folder))
    asked = by_loop(SingleTurnAgentLoop, "qwen2_5_vl", tokenizer, processor, folder, file)
    return [(qwen2_5_vl_dedup_image_tokens(ids, processor), len(ids), images) for ids, images, _ in asked]


def by_loop(loop_class, model_type, tokenizer, processor, folder, file, limits=None, template=None):
    """(token ids, images, sampling parameters) that an agent loop sends for every row of the file."""
    data = {"filter_overlong_prompts": False, "cache_dir": str(folder / "cache"), "mm_processor_kwargs": limits or {}}
    data = OmegaConf.create(data | {"apply_chat_template_kwargs": template or {}})
    rollout = {"prompt_length": 8192, "response_length": 32}
    config = OmegaConf.create({"actor_rollout_ref": {"rollout": rollout}})

    async def ask(row):
        loop = loop_class(
            trainer_config=DictConfigWrap(config),
            server_manager=Server(),
            tokenizer=tokenizer,
            processor=processor,
            dataset_cls=RLHFDataset,
            data_config=DictConfigWrap(data),
            hf_model_type=model_type,
        )
        try:
            await loop.run({}, raw_prompt=row["raw_prompt"])
        except Asked as asked:
            return asked.args

    return [asyncio.run(ask(row)) for row in RLHFDataset(str(file), tokenizer, data, processor)]


def rows_of_many_sizes():
    sizes = [SIZE, (84, 84), (300, 200), (31, 500), (20, 20), (57, 13)]
    rows = []
    for number, size in enumerate(sizes):
        row = own_row(number)
        row["images"] = [{"bytes": png(size=size), "path": None}]
        rows.append(row)
    two = own_row(len(rows))
    two["prompt"] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First <image> then <image> and words after."},
    ]
    two["images"] = [{"bytes": png(size=size), "path": None} for size in ((60, 60), (120, 40))]
    text = own_row(len(rows) + 1)
    text["prompt"], text["images"] = [{"role": "user", "content": "No picture. 1 + 1?"}], []
    return [*rows, two, text]


def test_token_ids_and_pictures_are_those_of_verls_agent_loop(folder, tmp_path):
    rows = rows_of_many_sizes()
    builder = PromptBuilder(folder, {})
    expected = by_verl(folder, write(tmp_path / "rows.parquet", rows))
    assert len(expected) == len(rows)
    for row, (ids, length, images) in zip(rows, expected, strict=True):
        prompt = builder.build(row)
        assert prompt.token_ids == ids and prompt.length == length
        assert (prompt.images is None) == (images is None)
        for ours, theirs in zip(prompt.images or [], images or [], strict=True):
            assert ours.size == theirs.size and ours.tobytes() == theirs.tobytes()
        assert row["prompt"][-1]["content"].__class__ is str  # the row is left as it was


def test_a_row_with_paths_in_place_of_bytes_is_asked_as_verl_asks_it(folder, tmp_path):
    rows = rows_of_many_sizes()[:7]  # the last has no image
    for number, row in enumerate(rows):
        for place, image in enumerate(row["images"]):
            file = tmp_path / f"{number}-{place}.png"
            file.write_bytes(image["bytes"])
            image.update(bytes=None, path=str(file))
    write_parquet([{**row, "images": row["images"]} for row in rows], tmp_path / "paths.parquet")
    builder = PromptBuilder(folder, {})
    expected = by_verl(folder, tmp_path / "paths.parquet")
    assert len(expected) == len(rows) == 7
    read = pq.read_table(tmp_path / "paths.parquet").to_pylist()  # as the evaluation reads its files
    for row, (ids, length, images) in zip(read, expected, strict=True):
        prompt = builder.build(row)
        assert prompt.token_ids == ids and prompt.length == length and len(prompt.images) == len(images) > 0
        for ours, theirs in zip(prompt.images, images, strict=True):
            assert ours.size == theirs.size and ours.tobytes() == theirs.tobytes()
        assert all(image["bytes"] is None for image in row["images"])  # the row is left as it was


def test_the_processors_limits_of_training_hold(folder, tmp_path):
    limits = {"min_pixels": 784, "max_pixels": 3136}  # 1 to 4 tokens of 28 x 28 pixels
    row = own_row(0)
    row["images"] = [{"bytes": png(size=(300, 200)), "path": None}]
    file = write(tmp_path / "rows.parquet", [row])
    tokenizer, processor = hf_tokenizer(str(folder)), hf_processor(str(folder))
    ((ids, _, _),) = by_loop(SingleTurnAgentLoop, "qwen2_5_vl", tokenizer, processor, folder, file, limits)
    prompt, unlimited = (PromptBuilder(folder, given).build(row) for given in (limits, {}))
    assert prompt.length == len(ids) < unlimited.length and prompt.token_ids == unlimited.token_ids
    assert box_settings(folder, limits).items() >= limits.items()
    with pytest.raises(SystemExit, match="--processor: got max_pixels alone"):
        Settings(processor={"max_pixels": 3136})


def test_internvls_prompts_are_those_of_its_agent_loop(tmp_path):
    """Return what training's agent loop sends, past the client that folds images and bans their token."""
    tiny_families.build("internvl3", tmp_path)
    config = InternVLModelConfig(path=str(tmp_path), override_config={"attn_implementation": "sdpa"})
    row = own_row(0)
    row["images"] = [{"bytes": png(size=(300, 200)), "path": None}]
    builder = PromptBuilder(tmp_path, {})
    prompt = builder.build(row)
    file = write(tmp_path / "rows.parquet", [row])
    asked = by_loop(ImageSingleTurnAgentLoop, "internvl", config.tokenizer, config.processor, tmp_path, file)
    ((ids, images, sampling),) = asked
    assert prompt.token_ids == ids and prompt.images[0].tobytes() == images[0].tobytes()
    assert prompt.token_ids.count(config.processor.image_token_id) == 1
    tiles, rest = divmod(prompt.length - len(ids) - 1, 16)  # a tile's tokens, and two marks, in place of one token
    assert tiles > 1 and rest == 0
    assert dict.fromkeys(builder.banned_tokens(), -100.0) == sampling["logit_bias"]


def test_a_rows_prompt_that_cannot_be_asked_is_a_status(folder):
    settings = Settings(max_prompt_length=20, max_response_length=8)
    broken, tags, long = own_row(0), own_row(1), own_row(2)
    broken["images"] = [{"bytes": b"no image", "path": None}]
    tags["prompt"] = [{"role": "user", "content": "<image><image>"}]
    long["prompt"] = [{"role": "user", "content": "<image>" + "word " * 40}]
    result = VllmResponder(folder, settings, 1)([broken, tags, long], ["a", "b", "c"], None)
    assert [response.problem for response in result] == ["prompt_error", "prompt_error", "prompt_too_long"]
    assert "UnidentifiedImageError" in result[0].text and "tokens" in result[2].text


def test_sampling_is_that_of_verls_validation(folder):
    responder = VllmResponder(folder, Settings(max_prompt_length=100, max_response_length=50), 1)
    greedy = responder._sampling(20, "key")
    assert (greedy.temperature, greedy.seed, greedy.max_tokens) == (0.0, None, 50)
    assert set(greedy.logit_bias) == set(responder.prompts.banned_tokens()) and len(greedy.logit_bias) == 2
    assert responder._sampling(140, "key").max_tokens == 10  # what is left of 150
    sampled = VllmResponder(folder, Settings(temperature=1.0), 1)
    seeds = [sampled._sampling(20, key).seed for key in ("a", "b", "a")]
    assert seeds[0] == seeds[2] != seeds[1]


def test_the_chat_templates_variables_of_training_hold(folder, tmp_path):
    thinking = tmp_path / "thinking"
    shutil.copytree(folder, thinking)
    with (thinking / "chat_template.jinja").open("a") as template:
        template.write(
            "{%- if add_generation_prompt and enable_thinking is not false -%}{{- '<think>' -}}{%- endif -%}"
        )
    file = write(tmp_path / "rows.parquet", [own_row(0)])
    tokenizer, processor = hf_tokenizer(str(thinking)), hf_processor(str(thinking))
    lengths = []
    for given in ({"enable_thinking": False}, {}):
        asked = by_loop(SingleTurnAgentLoop, "qwen2_5_vl", tokenizer, processor, folder, file, template=given)
        prompt = PromptBuilder(thinking, {}, given).build(own_row(0))
        assert prompt.token_ids == qwen2_5_vl_dedup_image_tokens(asked[0][0], processor)
        lengths.append(prompt.length)
    assert lengths[0] == PromptBuilder(folder, {}).build(own_row(0)).length < lengths[1]


def test_a_model_without_a_processor_is_refused_with_the_first_image(tmp_path, folder):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "model.safetensors"):
        (bare / name).write_bytes((folder / name).read_bytes())
    (bare / "config.json").write_text(json.dumps({"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}))
    with pytest.raises(SystemExit, match="got a model without a processor that verl knows"):
        PromptBuilder(bare, {}).build(own_row(0))


def test_the_models_folder_is_found_in_a_checkpoint(tmp_path):
    actor = tmp_path / "global_step_1" / "actor"
    (actor / "huggingface").mkdir(parents=True)
    (actor / "model_world_size_1_rank_0.pt").write_bytes(b"")
    (actor / "huggingface" / "config.json").write_text("{}")
    for path in (actor, actor.parent):
        with pytest.raises(
            SystemExit, match=f"verl.model_merger merge --backend fsdp --local_dir {actor} --target_dir"
        ):
            model_folder(path)
    (actor / "huggingface" / "model.safetensors").write_bytes(b"weights")
    assert model_folder(actor) == model_folder(actor.parent) == model_folder(actor / "huggingface")
    (actor / "huggingface" / "lora_adapter").mkdir()  # as verl's merger leaves a LoRA run
    with pytest.raises(SystemExit, match="got the base model's weights with a LoRA adapter in lora_adapter"):
        model_folder(actor)
    (actor / "huggingface" / "lora_adapter").rmdir()
    with pytest.raises(SystemExit, match="got no such folder"):
        model_folder(tmp_path / "none")
    with pytest.raises(SystemExit, match="got a folder without config.json and weights"):
        model_folder(tmp_path)


def test_a_models_hash_sees_a_changed_weight_and_a_changed_template(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("a")
    weights = bytearray(1_000_000)
    result = set()
    for place in (None, 0, 999_999, 500_000):
        if place is not None:
            weights[place] = 1
        (tmp_path / "model.safetensors").write_bytes(weights)
        result.add(model_sha256(tmp_path))
    (tmp_path / "chat_template.jinja").write_text("b")
    result.add(model_sha256(tmp_path))
    assert len(result) == 4  # samples: a training step changes every weight, one byte between two samples is not seen


def test_the_box_space_is_the_familys_and_its_sizes_the_processors(folder, tmp_path):
    assert box_settings(folder, {}) == {
        "box_space": "processed",
        "patch_size": 14,
        "merge_size": 2,
        "min_pixels": 784,
        "max_pixels": 50176,
    }
    for relative in ("internvl", "qwen3_vl", "qwen3_5"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": relative}))
        assert box_settings(tmp_path, {}) == {"box_space": "0-1000"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(SystemExit, match="got the model_type 'llava'.*--reward grounding.box_space"):
        box_settings(tmp_path, {})
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_5_vl"}))
    with pytest.raises(SystemExit, match="no preprocessor_config.json with patch_size"):
        box_settings(tmp_path, {})
