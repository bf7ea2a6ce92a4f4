"""Checks of the settings of this package's rewards, which would otherwise fail for every response."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf


def check_reward(config: DictConfig) -> list[str]:
    """Check that the run's reward, if it is one of this package, accepts its settings."""
    from reward_fns import auto  # here, after check_run has seen that it is this project's

    custom = OmegaConf.select(config, "reward.custom_reward_function")
    if custom is None or not custom.path or custom.name != "compute_score":
        return []
    path = str(custom.path)
    rewards = [auto, *auto.REWARDS.values()]
    known = {f"pkg://{module.__name__}": module for module in rewards}
    module = known.get(path) or next(
        (each for each in rewards if Path(str(each.__file__)) == Path(path).resolve()), None
    )
    if module is None:
        return []
    settings = OmegaConf.to_container(custom.get("reward_kwargs") or OmegaConf.create(), resolve=True)
    try:
        module.settings_of(**settings)  # pyright: ignore[reportCallIssue]
    except ValueError as problem:
        return [str(problem)]
    return []
