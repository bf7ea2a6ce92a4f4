"""What only a run with a second sampling has to keep to."""

from __future__ import annotations

from omegaconf import DictConfig, OmegaConf

from verl_plugins.config import SECOND_LOOPS
from verl_plugins.methods.knobs import config_from_node
from verl_plugins.methods.saei.maths import SaEIConfig
from verl_plugins.preflight.model import model_type


def check_saei(config: DictConfig) -> list[str]:
    """What only a run with a second sampling has to keep to."""
    problems = []
    rollout = config.actor_rollout_ref.rollout
    try:
        saei = config_from_node(SaEIConfig, config.algorithm.saei, "algorithm.saei")
    except ValueError:
        return []  # told by check_knobs
    if rollout.n != saei.n1 + saei.n2:
        problems.append(
            f"algorithm.saei.n1 + n2: got {saei.n1} + {saei.n2}, expected actor_rollout_ref.rollout.n = {rollout.n}; "
            "set algorithm.saei.n1 and n2, or actor_rollout_ref.rollout.n"
        )
    if saei.alpha == 0:
        problems.append(
            "algorithm.saei.alpha: got 0, which changes no image, expected 1 to 255 levels of 8-bit pixels; "
            "set algorithm.saei.alpha, or start the run with +method=grpo"
        )
    loop = rollout.agent.get("default_agent_loop")
    if loop not in SECOND_LOOPS:
        problems.append(
            f"actor_rollout_ref.rollout.agent.default_agent_loop: got {loop}, expected {' or '.join(SECOND_LOOPS)} "
            "(saei samples again single-turn); set actor_rollout_ref.rollout.agent.default_agent_loop"
        )
    whole = OmegaConf.select(config, "data.mm_processor_kwargs.crop_to_patches") is False
    if model_type(str(config.actor_rollout_ref.model.path)) == "internvl" and not whole:
        problems.append(
            "data.mm_processor_kwargs.crop_to_patches: got true, InternVL's default, expected false (its tiles overlap "
            "in the thumbnail, and saei cannot change them apart); set data.mm_processor_kwargs.crop_to_patches"
        )
    if OmegaConf.select(config, "algorithm.filter_groups.enable"):
        problems.append(
            "algorithm.filter_groups.enable: got true, expected false (groups are filtered before saei has sampled the "
            "second half of them); set algorithm.filter_groups.enable"
        )
    if OmegaConf.select(config, "skip.rollout_tq.enable"):
        problems.append(
            "skip.rollout_tq.enable: got true, expected false (replayed responses have no prompts to sample again); "
            "set skip.rollout_tq.enable"
        )
    return problems
