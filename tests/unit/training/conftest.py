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
