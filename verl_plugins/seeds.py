"""One rule for every random draw: its seed hangs on what a resumed run repeats, and on nothing else."""

from __future__ import annotations

from hashlib import blake2b


def seed_of(*key: int | str) -> int:
    """A seed in [0, 2**63) for a key such as (run's seed, step, row of the data set, number of the response)."""
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
