"""`make gpu`: checks on one CUDA device, all but the last without flash-attn, vLLM and Ray; docs/gpu.md.

``stages.py`` lists the stages and runs each in its own process; ``stage.py`` is that process; ``page.py`` writes the
results. The stages: ``kernel.py``, ``hooks.py``, ``fsdp2.py``, ``true_size.py``, ``entropy.py`` and ``training.py``
(with ``training_run.py``). They share ``device.py``, ``tiny.py`` and ``missing.py``.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the repository
