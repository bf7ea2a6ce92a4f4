"""What a run will need of memory, from its config alone: no GPU, no weights. Arithmetic that can be read.

``shape.py``: a model's sizes;  ``models.py``: those of the recipes' models;  ``workload.py``: what a run does, from
its composed config;  ``memory.py``: the formulas for a GPU;  ``host.py``: those for a machine;  ``advice.py``: what to
turn down;  ``command.py``: the command. ``benchmarks/memory/plan.py`` holds the formulas against measured peaks.
"""
