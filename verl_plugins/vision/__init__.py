"""Processed images: their layout, perturbations and 8-bit pixels. Imports torch, never verl, ray or vllm."""
