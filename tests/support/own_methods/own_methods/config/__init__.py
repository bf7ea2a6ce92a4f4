"""Hydra config group ``method`` of this package."""
