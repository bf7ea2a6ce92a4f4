"""verl's FSDP engine with forwards of this package's own; what they share is in ``hidden_states.py``.

Torch and verl only; nothing here is imported before verl's workers are (``verl_plugins.register``).
"""

ENGINE = "entropy_language_model"  # the model type under which ``fsdp.EntropyEngine`` is registered
