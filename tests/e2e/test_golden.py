"""Five steps of each method, against the metrics in the repository; one once more, killed and resumed, to the last bit.

`make golden` renews the metrics, after a change that was meant to change them. They are held within 5%, because
another processor rounds otherwise and may, once in thousands, draw another token; two runs on one machine are held to
the last bit. The model is a random one, which is the same on any machine; the demo's was trained there.
"""

import json
from pathlib import Path

import distinct_characters
import pytest
import tiny_families
from chaos import EVERY_STEP, OF_THE_SERVER, Killer, attempt, differences, metrics_of
from checkpoints import assert_merges_and_loads

from verl_plugins.demo.command import training_command
from verl_plugins.demo.tasks import TASKS

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[1] / "golden"
STEPS = 5
METHODS = ("ecvgpo", "vepo", "saei")
KILLED = {"saei": "vLLM engine"}  # the others: benchmarks/chaos.py, and a driver in test_demo.py
OPTIONS = {"ecvgpo": ["algorithm.ecvgpo.r0=adaptive", "algorithm.ecvgpo.target_slope=0", "algorithm.ecvgpo.delta=1"]}


@pytest.mark.parametrize("method", METHODS)
def test_five_steps(method, demo_assets, tmp_path, request):
    tiny_families.build("qwen2_5_vl", tmp_path / "model")
    _, data = demo_assets
    reward = f"reward.custom_reward_function.path={distinct_characters.__file__}"

    def run(name, number=0, on_poll=lambda: None):
        options = [*EVERY_STEP, reward, *OPTIONS.get(method, [])]
        where = tmp_path / "model", data, tmp_path / name
        command = training_command(*where, TASKS["grounding"], method, STEPS, options)
        return attempt(command, tmp_path / name, number, on_poll)

    assert run("whole") is None
    whole = metrics_of(tmp_path / "whole")
    assert list(whole) == list(range(1, STEPS + 1))
    assert any(name.startswith(f"{method}/") for name in whole[1])
    if request.config.getoption("--renew-golden"):
        renew(GOLDEN / f"{method}.json", whole)
    golden = json.loads((GOLDEN / f"{method}.json").read_text())
    assert golden.keys() == kept(whole).keys()
    for name, expected in golden.items():
        allowed = 0.05 * max(map(abs, expected)) + 1e-4
        assert kept(whole)[name] == pytest.approx(expected, rel=0, abs=allowed, nan_ok=True), name

    actor = tmp_path / "whole" / "checkpoints" / f"global_step_{STEPS}" / "actor"
    assert_merges_and_loads(actor, tmp_path / "model", tmp_path / "merged")
    if method in KILLED:
        killer = Killer(KILLED[method], tmp_path / "broken", delay_s=0.5)
        last_words = run("broken", 0, killer)
        assert killer.killed_at is not None
        assert last_words.startswith("verl-plugins: a process of the run was lost"), last_words
        assert run("broken", 1) is None
        assert differences(whole, metrics_of(tmp_path / "broken")) == []


def kept(steps):
    """The values of each metric, but for what hangs on how vLLM's batches came."""
    names = sorted(name for name in steps[1] if not name.startswith(OF_THE_SERVER))
    return {name: [steps[step][name] for step in steps] for name in names}


def renew(path, steps):
    path.parent.mkdir(exist_ok=True)
    lines = (
        f" {json.dumps(name)}: {json.dumps([float(f'{value:.6g}') for value in values])}"
        for name, values in kept(steps).items()
    )
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
