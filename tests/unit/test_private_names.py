"""Private names of verl, Ray, Hydra, torch and vLLM that the package needs: an upgrade that drops one fails here."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "verl_plugins"
PRIVATE = {
    "verl.trainer.ppo.v1.trainer_sync:PPOTrainerSync": [
        "_balance_batch",
        "_build_replay_buffer",
        "_compute_advantage",
        "_compute_old_log_prob",
        "_compute_reward_colocate",
        "_init_dataloader",
        "_init_resource_pool_mgr",
        "_load_checkpoint",
        "_save_checkpoint",
        "_shutdown_dump_executor",
        "_submit_batch_to_rollout",
    ],
    "verl.single_controller.base.worker:Worker": ["_query_dispatch_info"],
    "verl.workers.engine:EngineRegistry": ["_engines"],
    "verl.workers.engine.fsdp.transformer_impl:FSDPEngineWithLMHead": ["_build_module", "_build_optimizer"],
    "verl.utils.dataset.rl_dataset:RLHFDataset": [
        "_build_messages",
        "_download",
        "_process_multi_modal_info",
        "_read_files_and_tokenize",
    ],
    "verl.experimental.agent_loop.agent_loop:": ["_agent_loop_registry"],
    "hydra.core.utils:JobReturn": ["_return_value"],
    "ray._private.state:": ["actors"],
    "torch.distributed.fsdp:FSDPModule": ["_get_fsdp_state"],
    "torch.distributed.fsdp._fully_shard._fsdp_state:FSDPState": ["_lazy_init"],
    # what the CPU platform replaces
    "verl.utils.distributed:": ["initialize_global_process_group_ray"],
    "verl.workers.engine.fsdp.transformer_impl:": ["CPUOffloadPolicy"],
}
# set in a constructor or read with a default, so that a class does not show them: checked in its source
IN_SOURCE = {
    "verl/workers/engine/fsdp/transformer_impl.py": ["self._autocast_dtype"],
    "verl/workers/rollout/vllm_rollout/bucketed_weight_transfer.py": [
        "class BucketedWeightReceiver",
        "def receive_weights",
    ],
    "vllm/model_executor/layers/utils.py": ["def dispatch_cpu_unquantized_gemm"],
    "vllm/v1/worker/cpu_model_runner.py": ["class CPUModelRunner", "def _zero_block_ids"],
    "vllm/v1/worker/gpu_model_runner.py": [
        "self._kernel_block_sizes",
        "def _kv_cache_spec_attn_group_iterator",
    ],
}


@pytest.mark.parametrize("place", PRIVATE)
def test_the_private_name_is_still_there(place):
    module, _, name = place.partition(":")
    owner = import_module(module)
    owner = getattr(owner, name) if name else owner
    fields = getattr(owner, "__dataclass_fields__", {})
    assert [each for each in PRIVATE[place] if not hasattr(owner, each) and each not in fields] == []


@pytest.mark.parametrize("file", IN_SOURCE)
def test_the_private_name_is_still_in_the_source(file):
    (folder,) = find_spec(file.partition("/")[0]).submodule_search_locations  # vLLM itself is not imported
    source = (Path(folder).parent / file).read_text()
    assert [name for name in IN_SOURCE[file] if name not in source] == []


def test_no_other_private_name_is_used():
    trees = [ast.parse(path.read_text()) for path in PACKAGE.rglob("*.py")]
    own, used = {"_target_", "_exit"}, set()  # Hydra's key and os._exit are documented
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.endswith("__"):
            is_super = isinstance(node.value, ast.Call) and getattr(node.value.func, "id", "") == "super"
            if isinstance(node.ctx, ast.Store) and not is_super:
                own.add(node.attr)
            used.add((node.attr, is_super))
        elif isinstance(node, ast.ImportFrom) and node.module:
            used |= {(alias.name, True) for alias in node.names if alias.name.startswith("_")}
    listed = {name for names in PRIVATE.values() for name in names} | {
        name.split(".")[-1].split(" ")[-1] for names in IN_SOURCE.values() for name in names
    }
    assert len(used) > 30
    assert {name for name, is_super in used if name not in listed and (is_super or name not in own)} == set()
