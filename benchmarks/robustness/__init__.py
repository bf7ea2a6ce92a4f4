"""Runs that are killed again and again, and long ones."""
