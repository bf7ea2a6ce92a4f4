"""Hydra config groups ``method`` and ``platform``, found through the search path that ``register`` installs."""
