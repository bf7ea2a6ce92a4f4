"""Entropy-aware visual RL as a plugin for unmodified verl: ``+method=ecvgpo`` on the command line."""
