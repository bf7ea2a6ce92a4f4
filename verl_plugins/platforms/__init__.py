"""Devices that verl does not support itself."""
