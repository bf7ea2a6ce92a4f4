"""Per-token divergences over the whole vocabulary, in chunked torch and, with the same numbers, in Triton on CUDA."""
