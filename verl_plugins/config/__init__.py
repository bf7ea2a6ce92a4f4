"""Hydra config groups ``method``, ``platform`` and ``shared``, on the search path that ``register`` installs."""

OWN_TRAINERS = "VERL_PLUGINS_TRAINERS"
"""Environment variable of a run's processes in which verl's trainer modes name this package's trainers;
``shared/trainer.yaml`` sets it to 1."""

TRAINER_MODE = "verl_plugins_sync"
"""Earlier name of ``trainer.v1.trainer_mode=sync`` on this package's trainer."""

AGENT_LOOP = "seeded_single_turn_agent"
"""The value of ``rollout.agent.default_agent_loop`` that seeds each response; ``platform/cpu.yaml`` sets it."""

IMAGE_LOOP = "image_single_turn_agent"
"""The value of ``rollout.agent.default_agent_loop`` for InternVL3 (-hf); other models use ``single_turn_agent``."""

INTERNVL_CONFIG = "verl_plugins.internvl.InternVLModelConfig"
"""The value of ``actor_rollout_ref.model._target_`` for InternVL3 (-hf)."""
