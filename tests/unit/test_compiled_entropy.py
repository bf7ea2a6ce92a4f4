"""What torch.compile allocates on a GPU for verl's entropy, read from the code that inductor writes for one.

The planner counts on it: no buffer as large as the logits in the forward, in the backward the gradient alone.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.device_interface import CudaInterface
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._inductor import config as inductor_config
from torch._inductor.debug import DebugContext
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.graph import GraphLowering
from torch._inductor.virtualized import V
from torch.utils._pytree import tree_map_only
from verl.utils.torch_functional import entropy_from_logits

H100 = SimpleNamespace(
    name="H100", major=9, minor=0, multi_processor_count=132, regs_per_multiprocessor=65536, warp_size=32,
    max_threads_per_multi_processor=2048, max_threads_per_block=1024, shared_memory_per_block_optin=232448,
)  # fmt: skip


def entropy_under_cuda_autocast(logits):
    """``entropy_from_logits`` with the conversions that ``torch.autocast("cuda")`` makes in it, written out."""
    pd = torch.nn.functional.softmax(logits, dim=-1, dtype=torch.float32)
    return torch.logsumexp(logits.float(), dim=-1) - torch.sum(pd * logits, dim=-1, dtype=torch.float32)


@pytest.mark.slow  # compiles
@pytest.mark.parametrize("entropy", [entropy_from_logits, entropy_under_cuda_autocast])
def test_the_gradient_is_all_that_is_as_large_as_the_logits(entropy):
    forward, backward = (buffers_of(code) for code in cuda_code(entropy))
    rows, vocabulary = r"s\d+", r"s\d+"
    assert forward and not [shape for shape, _ in forward if re.fullmatch(f"{rows}, {vocabulary}", shape)]
    assert [dtype for shape, dtype in backward if re.fullmatch(f"{rows}, {vocabulary}", shape)] == ["torch.bfloat16"]


def buffers_of(code):
    """(shape, dtype) of each buffer that the code allocates, as it is written there."""
    return re.findall(r"= empty_strided_cuda\(\(([^)]*?),? ?\), \([^)]*\), ([\w.]+)\)", code)


def cuda_code(function):
    """Inductor's code for an H100, of the forward and the backward of a function of bfloat16 (T, vocabulary)."""
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph

    backend = aot_autograd(
        fw_compiler=keep,
        bw_compiler=keep,
        partition_fn=partial(min_cut_rematerialization_partition, compiler="inductor"),
        decompositions=select_decomp_table,
    )
    torch._dynamo.reset()
    logits = torch.randn(64, 1000, dtype=torch.bfloat16, requires_grad=True)
    torch.compile(function, dynamic=True, backend=backend)(logits).sum().backward()
    return [_lowered_for_cuda(graph) for graph in graphs]


def _lowered_for_cuda(graph):
    values = [node.meta["val"] for node in graph.graph.nodes if "val" in node.meta]
    fake_mode = next(value.fake_mode for value in values if isinstance(value, torch.Tensor))

    def on_cuda(value):
        with fake_mode:
            return torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="cuda")

    torch._C._ensureCUDADeviceGuardSet()
    for node in graph.graph.nodes:
        if "val" in node.meta:
            node.meta["val"] = tree_map_only(torch.Tensor, on_cuda, node.meta["val"])
    inputs = [node.meta["val"] for node in graph.graph.nodes if node.op == "placeholder"]
    stand_ins = [  # what is asked of the GPU, of its driver and of its compiler
        mock.patch.object(CudaInterface, "get_device_properties", staticmethod(lambda *_: H100)),
        mock.patch.object(CudaInterface.Worker, "get_device_properties", staticmethod(lambda *_: H100)),
        mock.patch.object(torch.cuda, "get_device_properties", lambda *_: H100),
        mock.patch.object(torch.cuda, "is_available", lambda: True),
        mock.patch.object(torch.cuda, "current_device", lambda: 0),
        mock.patch("torch._inductor.scheduler.has_triton", lambda *_: True),
        mock.patch("torch.utils._triton.triton_hash_with_backend", lambda: ""),
        mock.patch("torch._inductor.async_compile.AsyncCompile.triton", lambda *_, **__: None),
        inductor_config.patch(force_disable_caches=True),
        V.set_fake_mode(fake_mode),
    ]
    with ExitStack() as stack:
        for stand_in in stand_ins:
            stack.enter_context(stand_in)
        lowering = GraphLowering(graph, example_inputs=inputs, shape_env=fake_mode.shape_env)
        stack.enter_context(V.set_graph_handler(lowering))
        stack.enter_context(DebugContext())
        lowering.run(*inputs)
        return lowering.codegen()[0].value
