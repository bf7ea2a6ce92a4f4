"""`make gpu`: what can be checked in ten minutes on one CUDA device, with no flash-attn, vLLM or Ray; docs/gpu.md.

``stages.py`` lists the stages and runs each in a process of its own;  ``stage.py`` is that process;  ``page.py`` writes
what they found.  The stages: ``kernel.py``, ``hooks.py``, ``fsdp2.py``, ``true_size.py``, ``entropy.py``.  They share
``device.py``, ``tiny.py`` and ``missing.py``.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # of the repository
