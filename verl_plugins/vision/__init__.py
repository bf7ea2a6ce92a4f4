"""Pixels: what processors make of images, and what the methods do to them. Imports torch, never verl, ray or vllm."""
