"""verl's FSDP engine with forwards of this package's own; what they share is in ``hidden_states.py``.

The names here are known in every process; the modules are imported in verl's workers only (``verl_plugins.register``).
"""

ENGINE = "entropy_language_model"  # the model type under which ``fsdp.EntropyEngine`` is registered
FROZEN_VISION_ENGINE = "entropy_language_model_frozen_vision"  # the same for ``frozen_vision.FrozenVisionEngine``

# What ``adversarial.py`` writes to the TransferQueue, a row each.
PIXELS = "adversarial_pixels"  # uint8, the pictures of a prompt one after the other, in its first row; else empty
SIZES = "adversarial_sizes"  # int64, their heights and widths
STATISTICS = "adversarial_statistics"  # (3,): H_sel before and after in nats, mean absolute change of a pixel in levels
