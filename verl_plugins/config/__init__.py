"""Hydra config groups ``method``, ``platform`` and ``shared``, on the search path that ``register`` installs."""

TRAINER_MODE = "verl_plugins_sync"
"""The value of ``trainer.v1.trainer_mode`` that selects this package's trainer; ``shared/trainer.yaml`` sets it."""
