"""Evaluation: responses from vLLM, scored by the rewards of training, with confidence intervals.

    python -m verl_plugins.evaluate --model PATH --data FILE [FILE ...] --out DIR
    python -m verl_plugins.evaluate compare DIR_A DIR_B [--out DIR]
    python -m verl_plugins.evaluate export DIR --to vlmevalkit|lmms_eval --out DIR

Heavy modules are imported only when needed, so that `--help` and a refused command answer at once.
"""
