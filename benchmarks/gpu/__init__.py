"""`make gpu`: checks that take ten minutes on one CUDA device, without flash-attn, vLLM or Ray; docs/gpu.md.

``stages.py`` lists the stages and runs each in its own process;  ``stage.py`` is that process;  ``page.py`` writes the
results.  The stages: ``kernel.py``, ``hooks.py``, ``fsdp2.py``, ``true_size.py``, ``entropy.py``.  They share
``device.py``, ``tiny.py`` and ``missing.py``.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the repository
