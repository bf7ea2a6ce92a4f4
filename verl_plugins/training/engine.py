"""verl's FSDP engine, and those that inherit it, which also run the requests that a batch carries in its meta
information."""

# pyright: reportAttributeAccessIssue=false, reportCallIssue=false, reportIndexIssue=false
# verl registers its engine with an untyped decorator, which hides the class's type.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tensordict import TensorDict
from verl.utils import tensordict_utils as tu
from verl.utils.device import get_device_id
from verl.workers.engine.fsdp.transformer_impl import FSDPEngineWithLMHead

from verl_plugins.components.requests import REQUEST, BatchRequest, ForwardRequest


class RequestEngine:
    """What ``FSDPEngineWithLMHead`` and its heirs (verl's VeOmni and FSDP turbo) gain: they run ``ForwardRequest`` and
    ``BatchRequest``. Batches without one are the engine's own. A base class that stands before the engine."""

    def __init__(self, model_config, *args, **kwargs):
        model_config.model_type = "language_model"  # for verl, which looked this engine up under its registered name
        super().__init__(model_config, *args, **kwargs)

    def _build_module(self):
        """Build verl's module without the ``enable_input_require_grads`` that gradient checkpointing and LoRA switch
        on.

        It makes the output of each embedding require a gradient, that of the vision tower's patches included, so a
        tower that is not trained would run a whole backward for nothing. Only reentrant checkpointing needs it, and
        verl's is not reentrant.
        """
        module = super()._build_module()
        module.disable_input_require_grads()
        module.enable_input_require_grads = lambda: None
        return module

    def forward_backward_batch(self, data: TensorDict, loss_function: Callable, forward_only: bool = False):
        request: Any = tu.get_non_tensor_data(data, REQUEST, None)
        if isinstance(request, BatchRequest):
            return request.forward_backward(self, data)
        return super().forward_backward_batch(data, loss_function, forward_only)

    def forward_step(self, micro_batch: TensorDict, loss_function: Callable | None, forward_only: bool):
        request: Any = tu.get_non_tensor_data(micro_batch, REQUEST, None)
        if request is None:
            return super().forward_step(micro_batch, loss_function, forward_only)
        assert isinstance(request, ForwardRequest) and forward_only and loss_function is None
        model_output = request.forward(self, micro_batch.to(get_device_id()))
        return torch.tensor(1.0), {"model_output": model_output, "loss": 1.0, "metrics": {}}


class EntropyEngine(RequestEngine, FSDPEngineWithLMHead):
    """verl's FSDP engine that runs requests."""


def with_requests(engine: type[FSDPEngineWithLMHead]) -> type[FSDPEngineWithLMHead]:
    """Return the heir of one of verl's engines that runs requests."""
    if engine is FSDPEngineWithLMHead:
        return EntropyEngine
    return type(f"Request{engine.__name__}", (RequestEngine, engine), {})
