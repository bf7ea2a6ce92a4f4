"""Evaluations under attack: what reaches vLLM, what the files say, and that it is reproducible and resumed."""

import json
import math
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tiny_families
import torch
from attacked_run import attacked_job, image_row, run_attacked
from bare_engine import Row, bare_engine, worker_batch
from evaluation_run import own_row, write
from PIL import Image
from selective_entropy import selective_entropy
from transformers import AutoModelForImageTextToText
from verl.utils import tensordict_utils as tu

from verl_plugins.components.requests import REQUEST
from verl_plugins.evaluate.attack_settings import AttackSettings, attack_summary
from verl_plugins.evaluate.code_hash import code_sha256
from verl_plugins.evaluate.command_line import main
from verl_plugins.evaluate.data_rows import open_data, read_rows
from verl_plugins.evaluate.image_noise import ImageNoise
from verl_plugins.evaluate.prompt_builder import PromptBuilder
from verl_plugins.methods.saei.attack import AttackRequest
from verl_plugins.methods.saei.evaluation_attack import EntropyAttack
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.methods.saei.second_sampling import PIXELS, STATISTICS
from verl_plugins.vision.pixels import to_pixel_values

ROOT = Path(__file__).parents[3]
ROWS = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tiny_families.build("qwen2_5_vl", path)
    return path


@pytest.fixture
def data(tmp_path):
    return write(tmp_path / "val.parquet", [image_row(number) for number in range(ROWS)])


@pytest.fixture(scope="module")
def gradient_run(folder, tmp_path_factory):
    """A whole evaluation under the attack along the gradient, its data, and what vLLM was asked."""
    here = tmp_path_factory.mktemp("gradient")
    rows = [image_row(number) for number in range(3)]
    two = image_row(3)
    two["prompt"] = [{"role": "user", "content": "<image><image>which?"}]
    two["images"] *= 2
    text = own_row(4)
    text["prompt"], text["images"] = [{"role": "user", "content": "1 + 1?"}], []
    broken = own_row(5)
    broken["prompt"] = [{"role": "user", "content": "<image><image>one is missing"}]
    data = write(here / "val.parquet", [*rows, two, text, broken])
    return data, here / "out", *run_attacked(attacked_job(folder, data, here / "out", "saei", 4))


def levels(image):
    return image.astype(int)


# -- noise -------------------------------------------------------------------------------------------------------------


def test_what_vllm_gets_is_within_the_ball_and_the_clean_image_at_strength_zero(folder, data, tmp_path):
    clean = run_attacked(attacked_job(folder, data, tmp_path / "clean"))
    nothing = run_attacked(attacked_job(folder, data, tmp_path / "nothing", "random", 0))
    signs = run_attacked(attacked_job(folder, data, tmp_path / "signs", "random", 4))
    assert len(clean[0].asked) == ROWS
    for (_, (before,)), (_, (same,)), (_, (after,)) in zip(
        clean[0].asked, nothing[0].asked, signs[0].asked, strict=True
    ):
        assert (before == same).all()
        change = levels(after) - levels(before)
        inside = (before >= 4) & (before <= 251)
        assert set(np.unique(change[inside])) == {-4, 4}  # every value moves, in both directions
        assert abs(change).max() == 4 and 0.45 < (change[inside] > 0).mean() < 0.55
    assert nothing[2]["attack"] == {"name": "random", "strength": 0, "rows": ROWS, "pixel_change": 0.0}
    pairs = zip(signs[0].asked, clean[0].asked, strict=True)
    by_hand = [abs(levels(after) - levels(before)).mean() for (_, (after,)), (_, (before,)) in pairs]
    assert [line["pixel_change"] for line in signs[1]] == pytest.approx(by_hand)
    assert signs[2]["attack"]["pixel_change"] == pytest.approx(sum(by_hand) / ROWS)


def test_gaussian_noise_has_its_standard_deviation_and_is_clamped():
    grey = torch.full((3, 200, 200), 128, dtype=torch.uint8)
    change = ImageNoise("gaussian", 10.0, 42)([grey], "file/0")[0].double() - 128
    assert change.std().item() == pytest.approx(math.sqrt(100 + 1 / 12), rel=0.01)  # 1/12: rounding to whole levels
    assert abs(change.mean().item()) < 0.1
    assert change.abs().mean().item() == pytest.approx(10 * math.sqrt(2 / math.pi), rel=0.01)
    black = ImageNoise("gaussian", 10.0, 42)([torch.zeros_like(grey)], "file/0")[0]
    assert (black == 0).float().mean().item() == pytest.approx(0.52, abs=0.01)  # P(N(0, 10) < 0.5), not wrapped to 255


@pytest.mark.parametrize("name", ["gaussian", "random"])
def test_noise_hangs_on_the_seed_the_row_and_the_image_and_not_on_the_batch(name):
    image = torch.full((3, 28, 28), 100, dtype=torch.uint8)
    first, second = ImageNoise(name, 5, 42)([image, image], "file/0")
    assert not torch.equal(first, second)
    assert torch.equal(first, ImageNoise(name, 5, 42)([image], "file/0")[0])
    for seed, key in ((43, "file/0"), (42, "file/1"), (42, "other/0")):
        assert not torch.equal(first, ImageNoise(name, 5, seed)([image], key)[0])


def test_noise_is_added_at_the_processors_size(folder, tmp_path):
    """Noise on a larger image would lose its strength when the processor reduces it."""
    data = write(tmp_path / "val.parquet", [image_row(0, size=(400, 300))])
    limits = {"min_pixels": 784, "max_pixels": 12544}
    clean = run_attacked(attacked_job(folder, data, tmp_path / "clean", processor=limits))[0].asked[0][1][0]
    after = run_attacked(attacked_job(folder, data, tmp_path / "after", "random", 8, processor=limits))[0].asked[0][1][
        0
    ]
    assert after.shape[0] * after.shape[1] <= 12544 < clean.shape[0] * clean.shape[1]
    processor = PromptBuilder(folder, limits).processor
    to_pixel_values([torch.tensor(after).permute(2, 0, 1)], processor, limits)  # raises if it were resized again


@pytest.mark.parametrize("name", ["gaussian", "random"])
def test_stopped_anywhere_an_attacked_evaluation_ends_with_the_same_file(folder, data, tmp_path, name):
    a_job = attacked_job(folder, data, tmp_path / "out", name, 6)
    asked = run_attacked(a_job)[0].asked
    results = tmp_path / "out" / "results.jsonl"
    expected, summary = results.read_bytes(), (tmp_path / "out" / "summary.json").read_bytes()
    results.write_bytes(expected[: expected.index(b"\n", len(expected) // 2) + 3])
    again = run_attacked(a_job)[0].asked
    assert results.read_bytes() == expected and (tmp_path / "out" / "summary.json").read_bytes() == summary
    assert 0 < len(again) < ROWS
    for (key, (image,)), (same_key, (same,)) in zip(again, asked[-len(again) :], strict=True):
        assert key == same_key and (image == same).all()


# -- files and pages ---------------------------------------------------------------------------------------------------


def test_a_clean_evaluation_knows_nothing_of_attacks(folder, data, tmp_path):
    _, lines, summary = run_attacked(attacked_job(folder, data, tmp_path / "clean"))
    assert sorted(path.name for path in (tmp_path / "clean").iterdir()) == [
        ".lock",
        "evaluation.json",
        "report.html",
        "results.jsonl",
        "summary.json",
    ]
    assert "attack" not in summary and "attack" not in json.loads((tmp_path / "clean" / "evaluation.json").read_text())
    assert not any("pixel_change" in line for line in lines)
    assert "ttack" not in (tmp_path / "clean" / "report.html").read_text()


def test_clean_and_attacked_are_not_mixed_in_one_folder(folder, data, tmp_path, capsys):
    clean = attacked_job(folder, data, tmp_path / "a")
    run_attacked(clean)
    run_attacked(attacked_job(folder, data, tmp_path / "b", "random", 4))
    for there, name, strength, message in (
        ("a", "random", 4, "attack.name: got 'random', there it is None"),
        ("b", None, 4, "attack.name: got None, there it is 'random'"),
        ("b", "random", 5, "attack.strength: got 5, there it is 4"),
        ("b", "gaussian", 4, "attack.name: got 'gaussian', there it is 'random'"),
    ):
        with pytest.raises(SystemExit, match=message):
            run_attacked(attacked_job(folder, data, tmp_path / there, name, strength))
    page = (tmp_path / "b" / "report.html").read_text()
    assert "random, strength 4 of 255 levels; 5 rows attacked, mean pixel change 3.9" in page
    assert "Under attack: random, strength 4 of 255 levels" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]) == 0
    out = capsys.readouterr().out
    assert f"A: {folder} (attack on the images: none)" in out and f"{ROWS} rows in both" in out
    assert f"B: {folder} (attack on the images: random, strength 4 of 255 levels)" in out
    assert "attack on the images: random" in (tmp_path / "c" / "comparison.html").read_text()


def test_the_hash_of_the_code_covers_the_attack_of_an_attacked_evaluation_only():
    hashes = [
        code_sha256(ROOT),
        code_sha256(ROOT, AttackSettings("random", 4).modules),
        code_sha256(ROOT, AttackSettings("saei", 4).modules),
    ]
    assert len(set(hashes)) == 3
    assert hashes[1] == code_sha256(ROOT, AttackSettings("gaussian", 1).modules)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--attack", "blur", "--strength", "1"], "--attack: got 'blur', expected one of gaussian, random, saei"),
        (["--attack", "random"], "--attack, --strength: got one of them, expected both"),
        (["--strength", "2"], "--attack, --strength: got one of them, expected both"),
        (["--attack", "random", "--strength", "1.5"], "--strength: got 1.5, expected a whole number of 8-bit levels"),
        (["--attack", "saei", "--strength", "256"], "--strength: got 256.0, expected a whole number .* --attack saei"),
        (["--attack", "gaussian", "--strength", "-1"], "--strength: got -1.0, expected the noise's standard deviation"),
        (["--attack", "gaussian", "--strength", "nan"], "--strength: got nan, expected the noise's standard deviation"),
        (
            ["--attack", "random", "--strength", "1", "--attack-steps", "2"],
            "--attack-steps: got 2 with --attack random",
        ),
        (["--attack", "saei", "--strength", "1", "--attack-steps", "0"], "--attack-steps: got 0, expected at least 1"),
        (["--attack-steps", "3"], "--attack-steps: got 3 without --attack"),
    ],
)
def test_bad_options_are_one_message_and_make_no_folder(tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        main(["--model", "m", "--data", "d", "--out", str(tmp_path / "o"), *options])
    assert not (tmp_path / "o").exists()


def test_a_model_whose_images_cannot_be_changed_apart_is_refused(data, tmp_path):
    tiny_families.build("internvl3", tmp_path / "model")
    tiles = {"crop_to_patches": True}
    with pytest.raises(SystemExit, match="--attack: .*crop_to_patches=false .here: --processor NAME=VALUE"):
        run_attacked(attacked_job(tmp_path / "model", data, tmp_path / "a", "random", processor=tiles))
    whole = {"crop_to_patches": False}
    out = run_attacked(attacked_job(tmp_path / "model", data, tmp_path / "b", "random", processor=whole))
    assert [images[0].shape for _, images in out[0].asked] == [(112, 112, 3)] * ROWS
    assert out[2]["attack"]["pixel_change"] > 3.8


# -- the model's own gradient ------------------------------------------------------------------------------------------


def test_the_gradient_attack_asks_twice_and_the_second_time_on_attacked_images(gradient_run):
    _, _, vllm, lines, summary = gradient_run
    assert vllm.released == 2  # before the attack, and at the end
    clean, attacked = vllm.asked[:5], vllm.asked[5:]
    assert [key for key, _ in clean] == [key for key, _ in attacked] and len(attacked) == 5
    assert [len(images) for _, images in attacked] == [1, 1, 1, 2, 0]
    for (_, before), (_, after) in zip(clean, attacked, strict=True):
        for image, changed in zip(before, after, strict=True):
            change = abs(levels(changed) - levels(image))
            assert change.max() == 4 and change.mean() > 3
    assert [line["status"] for line in lines] == ["ok"] * 5 + ["prompt_error"]
    assert ["pixel_change" in line for line in lines] == [True] * 4 + [False] * 2
    numbers = summary["attack"]
    assert (numbers["name"], numbers["strength"], numbers["steps"], numbers["rows"]) == ("saei", 4, 1, 4)
    assert 3 < numbers["pixel_change"] <= 4


def test_the_gradient_attack_raises_the_entropy_of_the_clean_response(gradient_run, folder):
    """Against a plain forward with full logits: clean and attacked image, the tokens selected on the clean one."""
    data, out, vllm, _, summary = gradient_run
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    builder = PromptBuilder(folder, {})
    records = [json.loads(line) for line in (out / "attacked.jsonl").read_text().splitlines()]
    responses = [json.loads(line) for line in (out / "clean_responses.jsonl").read_text().splitlines()]
    assert [record["row"] for record in records] == list(range(6)) and "entropy_after" not in records[4]
    raised = []
    for number in range(4):
        (images,) = [images for key, images in vllm.asked[5:] if key.endswith(f"/{number}")]
        inputs = builder.build(_row(data, number)).processed
        ids = torch.tensor([[*inputs.token_ids, *responses[number]["token_ids"]]])
        count = len(responses[number]["token_ids"])

        def entropy(pixel_values, kept=None, ids=ids, inputs=inputs, count=count):
            with torch.no_grad():
                logits = model(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    mm_token_type_ids=(ids == builder.processor.image_token_id).int(),
                    pixel_values=pixel_values,
                    image_grid_thw=inputs.image_inputs["image_grid_thw"],
                ).logits[:, -count - 1 : -1]
            if kept is None:
                return selective_entropy(logits, torch.ones(1, count), SaEIConfig())
            log_p = logits[0].log_softmax(-1)
            return -(log_p.exp() * log_p).sum(-1)[kept[0]].mean()

        before, kept = entropy(inputs.image_inputs["pixel_values"])
        pixels = [torch.tensor(image).permute(2, 0, 1) for image in images]
        after = entropy(to_pixel_values(pixels, builder.processor), kept)
        assert records[number]["entropy_before"] == pytest.approx(before.item(), rel=1e-4)
        assert records[number]["entropy_after"] == pytest.approx(after.item(), rel=1e-4)
        raised.append(after.item() - before.item())
    assert min(raised) > 0
    assert summary["attack"]["entropy_after"] - summary["attack"]["entropy_before"] == pytest.approx(
        sum(raised) / 4, rel=1e-2
    )


def _row(data, number):
    (row,) = read_rows(open_data(data, None, None, None, 42), [number])
    return row


def test_the_gradient_attack_goes_on_wherever_it_was_stopped(gradient_run, folder, tmp_path):
    data, out, *_ = gradient_run
    names = ("clean_responses.jsonl", "attacked.jsonl", "results.jsonl", "summary.json")
    expected = {name: (out / name).read_bytes() for name in names}
    images = {path.name: path.read_bytes() for path in out.glob("attacked_images/*/*.png")}
    assert len(images) == 5

    def lines(name, count):
        (out / name).write_bytes(b"".join(expected[name].splitlines(keepends=True)[:count]))

    for answered, attacked, done, asked in ((3, 0, 0, 8), (6, 2, 0, 5), (6, 6, 3, 3)):  # batches of two rows
        lines("clean_responses.jsonl", answered)
        lines("attacked.jsonl", attacked)
        lines("results.jsonl", done)
        for path in out.glob("attacked_images/*/*.png"):
            if int(path.stem.partition("-")[0]) >= attacked:
                path.unlink()
        vllm, _, _ = run_attacked(attacked_job(folder, data, out, "saei", 4))
        assert len(vllm.asked) == asked
        assert {name: (out / name).read_bytes() for name in names} == expected
        assert {path.name: path.read_bytes() for path in out.glob("attacked_images/*/*.png")} == images


def test_a_missing_attacked_image_is_one_message(gradient_run, folder):
    data, out, *_ = gradient_run
    (image,) = out.glob("attacked_images/*/0-0.png")
    kept, results = image.read_bytes(), (out / "results.jsonl").read_bytes()
    image.unlink()
    (out / "results.jsonl").write_bytes(b"")
    with pytest.raises(SystemExit, match="0-0.png: got no such file, expected an image that the attack wrote"):
        run_attacked(attacked_job(folder, data, out, "saei", 4))
    image.write_bytes(kept)
    (out / "results.jsonl").write_bytes(results)


@pytest.mark.parametrize("steps", [1, 2])
def test_it_is_the_attack_of_training(folder, monkeypatch, steps):
    """Against training's attack in verl's engine, on one row with the positions that verl gives it."""
    for name in ("training.engine", "methods.saei.attack", "methods.saei.attacked_images"):
        monkeypatch.setattr(import_module(f"verl_plugins.{name}"), "get_device_id", lambda: "cpu")
    attack = EntropyAttack(folder, PromptBuilder(folder, {}).processor, {}, "float32", 2, steps)
    response = torch.tensor([20, 31, 42, 53, 64, 75, 86])
    image = Image.open(BytesIO(image_row(0)["images"][0]["bytes"]))
    data = worker_batch([Row("prompt", 0, 0, "the red square", [image], response)], attack.processor)
    (ids,) = data["input_ids"].unbind()
    inputs = tu.unwrap_non_tensor_data(data["multi_modal_inputs"][0])
    positions, _ = attack.model.model.get_rope_index(
        ids[None],
        mm_token_type_ids=(ids[None] == attack.processor.image_token_id).int(),
        image_grid_thw=inputs["image_grid_thw"],
    )
    positions = torch.cat([torch.arange(len(ids))[None], positions[:, 0]])
    data["position_ids"] = tu.nested_tensor_from_tensor_list([positions], ragged_idx=2)
    config = SaEIConfig(alpha=2, steps=steps)
    tu.assign_non_tensor(data, **{REQUEST: AttackRequest(config, seed=0, step=1)})
    engine = bare_engine(attack.model, attack.processor, 1)
    with torch.no_grad():
        trained = engine.forward_backward_batch(data, None, forward_only=True)["model_output"]
    attack.model.requires_grad_(False)
    (pixels,), before, after = attack(ids[: -len(response)].tolist(), inputs, response.tolist())
    same = pixels.flatten() == trained[PIXELS].values()
    assert same.double().mean() > 0.999  # the rest: pixels whose gradient is rounding
    assert [before, after] == pytest.approx(trained[STATISTICS][0, :2].tolist(), rel=1e-4)


@pytest.mark.parametrize("family", ["qwen3_vl", "qwen3_5", "internvl3"])
def test_the_gradient_attack_knows_every_family(family, tmp_path):
    tiny_families.build(family, tmp_path)
    settings = {"crop_to_patches": False} if family == "internvl3" else {}
    builder = PromptBuilder(tmp_path, settings)
    prompt = builder.build(image_row(0, size=(112, 112)))
    attack = EntropyAttack(tmp_path, builder.processor, settings, "float32", 1, 1)
    images, before, after = attack(prompt.processed.token_ids, prompt.processed.image_inputs, list(range(20, 32)))
    (clean,) = builder.pixels(prompt)
    assert (images[0].int() - clean.int()).abs().max() == 1
    assert after > before > 0


def test_steps_stay_in_their_ball_and_raise_the_entropy_further(folder):
    builder = PromptBuilder(folder, {})
    prompt = builder.build(image_row(0))
    (clean,) = builder.pixels(prompt)
    rise = []
    for steps in (1, 3):
        attack = EntropyAttack(folder, builder.processor, {}, "float32", 1, steps)
        (image,), before, after = attack(prompt.processed.token_ids, prompt.processed.image_inputs, [20, 31, 42, 53])
        assert (image.int() - clean.int()).abs().max() == steps
        rise.append(after - before)
    assert 0 < rise[0] < rise[1]


def test_the_mean_over_no_attacked_row_is_none():
    assert attack_summary({"name": "random", "strength": 1}, [{"status": "ok"}], []) == {
        "name": "random",
        "strength": 1,
        "rows": 0,
        "pixel_change": None,
    }
