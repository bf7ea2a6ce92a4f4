"""The memory plan of a run, from its config alone: no GPU and no weights, only arithmetic.

``planned_config.py``: the config of a recipe, of overrides, or of a command;  ``workload.py``: the run, read from it;
``shape.py``: sizes of a model;  ``models.py``: configs of the recipes' models;  ``memory.py``: formulas for a GPU;
``host.py``: formulas for a machine;  ``advice.py``: settings to turn down;  ``tensor_parallelism.py``: GPUs that can
share a model in vLLM;  ``precision.py``: updates that bfloat16 loses;  ``plan_command.py`` and ``print_plan.py``: the
command. ``benchmarks/memory/plan.py`` compares the formulas with measured peaks.
"""
