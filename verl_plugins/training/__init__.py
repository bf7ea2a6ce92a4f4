"""The parts that verl runs: trainer, worker and engine. They call the methods' hooks and name no method.

Imported in verl's processes only.
"""

import verl  # noqa: F401  first, so that the plugin is registered before a module of this package is half imported

ENGINE = "entropy_language_model"
"""verl's model type under which ``engine.EntropyEngine`` is registered."""

FROZEN_VISION_ENGINE = "entropy_language_model_frozen_vision"
"""verl's model type under which ``frozen_vision.FrozenVisionEngine`` is registered."""
