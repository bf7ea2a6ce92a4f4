"""Graders of final answers, tried on golds of every kind with one thing changed: what does each accept wrongly?"""
