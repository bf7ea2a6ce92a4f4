"""Seeds of all random draws, derived only from values that a resumed run repeats."""

from __future__ import annotations

from hashlib import blake2b


def seed_of(*key: int | str) -> int:
    """Return a seed in [0, 2**63) for a key such as (run's seed, step, data set row, number of the response)."""
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
