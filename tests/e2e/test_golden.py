"""Five steps of all methods at once, against the metrics in the repository, and a checkpoint that transformers loads.

`make golden` renews the metrics, after a change that was meant to change them. They are held within 5%, because
another processor rounds otherwise and may, once in thousands, draw another token. The model is a random one, which is
the same on any machine; the demo's was trained there. Runs of one machine are held to the last bit in
test_composed.py and by benchmarks/robustness/chaos.py.
"""

import json
from pathlib import Path

import distinct_characters
import pytest
import tiny_families
from checkpoints import assert_merges_and_loads
from demo_runs import attempt, metrics_of
from robustness.chaos import EVERY_STEP, SERVER_METRICS, training_metrics

from verl_plugins.demo.tasks import TASKS
from verl_plugins.demo.training_command import training_command

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden" / "every_method.json"
STEPS = 5
METHODS = ("ecvgpo", "vepo", "saei")
ACTOR = ["actor_rollout_ref.actor.freeze_vision_tower=false", "actor_rollout_ref.actor.optim.lr=3e-4"]
OPTIONS = [*ACTOR, "algorithm.ecvgpo.r0=adaptive", "algorithm.ecvgpo.target_slope=0", "algorithm.ecvgpo.delta=1"]


def test_five_steps(demo_assets, tmp_path, request):
    tiny_families.build("qwen2_5_vl", tmp_path / "model")
    _, data = demo_assets
    reward = f"reward.custom_reward_function.path={distinct_characters.__file__}"
    options = [*EVERY_STEP, reward, *OPTIONS]
    where = tmp_path / "model", data, tmp_path / "run"
    command = training_command(*where, TASKS["grounding"], f"[{','.join(METHODS)}]", STEPS, options)
    assert attempt(command, tmp_path / "run") is None
    result = training_metrics(metrics_of(tmp_path / "run"))
    assert list(result) == list(range(1, STEPS + 1))
    assert all(any(name.startswith(f"{method}/") for name in result[1]) for method in METHODS)
    if request.config.getoption("--renew-golden"):
        renew(GOLDEN, result)
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == kept(result).keys()
    for name, expected in golden.items():
        allowed = 0.05 * max(map(abs, expected)) + 1e-4
        assert kept(result)[name] == pytest.approx(expected, rel=0, abs=allowed, nan_ok=True), name

    actor = tmp_path / "run" / "checkpoints" / f"global_step_{STEPS}" / "actor"
    assert_merges_and_loads(actor, tmp_path / "model", tmp_path / "merged")


def kept(steps):
    """The values of each metric, but for what hangs on how vLLM's batches came."""
    names = sorted(name for name in steps[1] if not name.startswith(SERVER_METRICS))
    return {name: [steps[step][name] for step in steps] for name in names}


def renew(path, steps):
    path.parent.mkdir(exist_ok=True)
    lines = (
        f" {json.dumps(name)}: {json.dumps([float(f'{value:.6g}') for value in values])}"
        for name, values in kept(steps).items()
    )
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
