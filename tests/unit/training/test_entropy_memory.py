"""GPU memory that verl's entropy allocates, which the planner counts on and benchmarks/memory stands in for.

Compiled: read from the code that inductor writes for a GPU. Eager: from tensors of a GPU that hold no numbers, in the
forward, since their backward needs a GPU.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from functools import partial
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from memory.alive_bytes import AliveBytes
from memory.cuda_autocast import CudaAutocast
from torch._dynamo.backends.common import aot_autograd
from torch._dynamo.device_interface import CudaInterface
from torch._functorch.partitioners import min_cut_rematerialization_partition
from torch._inductor import config as inductor_config
from torch._inductor.debug import DebugContext
from torch._inductor.decomposition import select_decomp_table
from torch._inductor.graph import GraphLowering
from torch._inductor.virtualized import V
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._pytree import tree_map_only
from verl.utils.torch_functional import entropy_from_logits, entropy_from_logits_with_chunking

H100 = SimpleNamespace(
    name="H100", major=9, minor=0, multi_processor_count=132, regs_per_multiprocessor=65536, warp_size=32,
    max_threads_per_multi_processor=2048, max_threads_per_block=1024, shared_memory_per_block_optin=232448,
)  # fmt: skip


@pytest.mark.parametrize("entropy", [entropy_from_logits, entropy_from_logits_with_chunking])
def test_the_stand_in_for_autocast_allocates_what_cudas_does(entropy):
    torch._C._ensureCUDADeviceGuardSet()
    torch.set_autocast_enabled("cuda", True)  # torch.autocast would not, without a GPU
    try:
        with FakeTensorMode():
            real = _forward_bytes(entropy, "cuda")
    finally:
        torch.set_autocast_enabled("cuda", False)
    with CudaAutocast():
        stand_in = _forward_bytes(entropy, "meta")
    assert stand_in == real
    # Whole: softmax and logsumexp's input in float32 are kept, 8 bytes a logit, and the product is made beside them.
    if entropy is entropy_from_logits:
        assert real == pytest.approx((8 * 4096 * 1000, 12 * 4096 * 1000), rel=0.01)


def _forward_bytes(entropy, device):
    """Bytes that the entropy of (4096, 1000) logits keeps for its backward, and the most at once."""
    logits = torch.empty(4096, 1000, dtype=torch.bfloat16, device=device, requires_grad=True)
    alive = AliveBytes()
    alive.leave_out(logits)
    with alive:
        result = entropy(logits)
    assert result.dtype == torch.float32
    return alive.now, alive.peak


def entropy_under_cuda_autocast(logits):
    """``entropy_from_logits`` with the conversions that ``torch.autocast("cuda")`` makes in it, written out."""
    pd = torch.nn.functional.softmax(logits, dim=-1, dtype=torch.float32)
    return torch.logsumexp(logits.float(), dim=-1) - torch.sum(pd * logits, dim=-1, dtype=torch.float32)


@pytest.mark.slow  # compiles
@pytest.mark.usefixtures("compiler")
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
