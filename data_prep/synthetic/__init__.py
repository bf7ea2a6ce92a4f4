"""Synthetic data sets, made on the spot."""
