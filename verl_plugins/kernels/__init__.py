"""Per-token divergences over the whole vocabulary: chunked torch, and Triton on CUDA. The same numbers."""
