"""A model small enough to train on a laptop, and the data to train it on: what the CPU recipes and tests run."""
