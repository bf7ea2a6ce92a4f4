"""The parts that verl runs: trainer, worker and engine. They call the methods' hooks and name no method.

Imported in verl's processes only; the names below are known everywhere.
"""

ENGINE = "entropy_language_model"
"""verl's model type under which ``engine.EntropyEngine`` is registered."""

FROZEN_VISION_ENGINE = "entropy_language_model_frozen_vision"
"""verl's model type under which ``frozen_vision.FrozenVisionEngine`` is registered."""
