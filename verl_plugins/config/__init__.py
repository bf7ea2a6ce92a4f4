"""Hydra config groups ``method``, ``platform`` and ``shared``, on the search path that ``register`` installs."""

TRAINER_MODE = "verl_plugins_sync"
"""The value of ``trainer.v1.trainer_mode`` that selects this package's trainer; ``shared/trainer.yaml`` sets it."""

AGENT_LOOP = "seeded_single_turn_agent"
"""The value of ``rollout.agent.default_agent_loop`` that seeds each response; ``platform/cpu.yaml`` sets it."""

IMAGE_LOOP = "image_single_turn_agent"
"""The agent loop for InternVL3 (-hf); otherwise verl's ``single_turn_agent``."""

INTERNVL_CONFIG = "verl_plugins.internvl.InternVLModelConfig"
"""The value of ``actor_rollout_ref.model._target_`` for InternVL3 (-hf)."""

SECOND_LOOPS = {name: f"adversarial_{name}" for name in ("single_turn_agent", IMAGE_LOOP, AGENT_LOOP)}
"""The agent loops that saei can sample with, and the names under which they sample on adversarial images."""
