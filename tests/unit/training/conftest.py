from __future__ import annotations

import logging

import pytest
import torch


@pytest.fixture
def compiler(monkeypatch):
    """torch.compile, also where an evaluation in the same process has set the CPU platform's environment."""
    monkeypatch.setattr(torch._dynamo.config, "disable", False, raising=False)
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def one_thread():
    """Let torch compute with one thread in a file's tests."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
