"""Several copies of the model: the same bytes as one, in the order of the rows, and what is told where that fails."""

import json
import os

import pytest
from evaluation_run import Answers, evaluate, job, own_row, write

from verl_plugins.evaluate import parallel_responder
from verl_plugins.evaluate.evaluation import run_evaluation
from verl_plugins.evaluate.parallel_responder import Copies, start_responder
from verl_plugins.evaluate.responder import VllmResponder

RIGHT, WRONG = "<answer>[0, 0, 10, 10]</answer>", "<answer>[9, 9, 30, 30]</answer>"


def answer(number):
    return RIGHT if number % 3 else WRONG


def copy_without_a_model(fails_at=None):
    """A copy whose first batches take longest, and that notes which process answered which rows.

    Defined in here, so that Ray sends the class itself to its workers.
    """

    class Copy:
        def __init__(self, folder, settings, tensor_parallel_size):
            self.notes = folder.parent / f"asked_{os.getpid()}.jsonl"

        def respond(self, rows, keys, attack):
            import time

            from verl_plugins.evaluate.responder import Response

            numbers = [row["extra_info"]["index"] for row in rows]
            if numbers and numbers[0] == fails_at:
                raise MemoryError("no room for the images")
            time.sleep(0.5 if numbers and numbers[0] == 0 else 0.01)
            with self.notes.open("a") as notes:
                notes.write(json.dumps([numbers, keys]) + "\n")
            return [Response(RIGHT if number % 3 else WRONG, 3, "stop") for number in numbers]

    return Copy


@pytest.fixture(scope="module")
def ray():
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield ray
    ray.shutdown()


def job_of_copies(tmp_path, data, number, out, **settings):
    plain = job(tmp_path, data, out, **settings)
    return type(plain)(plain.model, plain.data, plain.out, plain.settings, copies=Copies(number))


@pytest.mark.slow
def test_two_copies_give_the_bytes_of_one_and_a_failed_run_goes_on(tmp_path, ray, monkeypatch):
    data = write(tmp_path / "val.parquet", [own_row(number) for number in range(23)])
    one = job(tmp_path, data, "one", batch_size=3)
    _, responder, _, _ = evaluate(one, Answers(answer))
    expected = (one.out / "results.jsonl").read_bytes()

    two = job_of_copies(tmp_path, data, 2, "two", batch_size=3)
    monkeypatch.setattr(parallel_responder, "_Copy", copy_without_a_model(fails_at=12))
    with pytest.raises(SystemExit) as failed:
        run_evaluation(two)
    assert "--data-parallel 2: got a copy of the model that failed" in str(failed.value)
    assert "no room for the images" in str(failed.value)
    written = (two.out / "results.jsonl").read_bytes()
    assert expected.startswith(written) and len(written.splitlines()) == 12  # the first batch came last, and is first

    monkeypatch.setattr(parallel_responder, "_Copy", copy_without_a_model())
    assert run_evaluation(two) == 0
    assert (two.out / "results.jsonl").read_bytes() == expected
    notes = [[json.loads(line) for line in path.read_text().splitlines()] for path in tmp_path.glob("asked_*")]
    assert len(notes) == 4 and all(notes)  # two processes, and two of the second start
    keys = [key for note in notes for _, keys in note for key in keys]
    assert set(keys) == set(responder.keys)  # a row's seed does not depend on the copy
    assert run_evaluation(two) == 0  # and all is done


@pytest.mark.slow
def test_more_copies_than_there_are_devices_are_refused(tmp_path, ray):
    data = write(tmp_path / "val.parquet", [own_row(0)])
    with pytest.raises(SystemExit, match="--data-parallel 3: got 2 CPUs, expected 3.*set --data-parallel 2"):
        run_evaluation(job_of_copies(tmp_path, data, 3, "three"))


def test_one_copy_needs_no_ray(tmp_path, monkeypatch):
    monkeypatch.setattr(VllmResponder, "__init__", lambda self, *_: None)
    settings = job(tmp_path, tmp_path / "none").settings
    assert isinstance(start_responder(tmp_path, settings, Copies()), VllmResponder)
    assert not isinstance(start_responder(tmp_path, settings, Copies(ray_address="auto")), VllmResponder)


@pytest.mark.parametrize(("number", "size", "option"), [(0, 1, "--data-parallel"), (1, -1, "--tensor-parallel-size")])
def test_a_number_below_one_is_refused(number, size, option):
    with pytest.raises(SystemExit, match=rf"{option}: got (0|-1), expected a whole number from 1"):
        Copies(number, size)
