"""Hydra config groups ``method``, ``platform`` and ``shared``, on the search path that ``register`` installs."""

TRAINER_MODE = "verl_plugins_sync"
"""The value of ``trainer.v1.trainer_mode`` that selects this package's trainer; ``shared/trainer.yaml`` sets it."""

AGENT_LOOP = "seeded_single_turn_agent"
"""The value of ``rollout.agent.default_agent_loop`` that seeds each response; ``platform/cpu.yaml`` sets it."""

SECOND_LOOPS = {name: f"adversarial_{name}" for name in ("single_turn_agent", AGENT_LOOP)}
"""The agent loops that saei can sample with, and the names under which they sample on adversarial images."""
