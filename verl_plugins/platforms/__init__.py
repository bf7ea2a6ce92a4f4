"""Devices that verl itself does not support."""
