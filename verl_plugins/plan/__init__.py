"""The memory plan of a run, from its config alone: no GPU and no weights, only arithmetic.

``shape.py``: sizes of a model;  ``models.py``: configs of the recipes' models;  ``workload.py``: the run, read from its
composed config;  ``memory.py``: formulas for a GPU;  ``host.py``: formulas for a machine;  ``advice.py``: settings to
turn down;  ``plan_command.py`` and ``print_plan.py``: the command. ``benchmarks/memory/plan.py`` compares the formulas
with measured peaks.
"""
