"""95% confidence intervals and paired tests, in plain Python and numpy; every draw is seeded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, sqrt
from typing import Any

Z = 1.959963984540054  # 97.5% quantile of the normal distribution
RESAMPLES = 10_000
_CHUNK = 2_000_000  # draws held in memory


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` values with its 95% interval; value, low and high are None if n is 0."""

    n: int
    value: float | None = None
    low: float | None = None
    high: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {"n": self.n, "value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return "–" if self.value is None else f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


def proportion(hits: Sequence[bool]) -> Estimate:
    """Estimate a proportion with Wilson's score interval, which stays in [0, 1] and has a positive width at 0 and 1."""
    n = len(hits)
    if not n:
        return Estimate(0)
    share = sum(hits) / n
    centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * sqrt(share * (1 - share) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return Estimate(n, share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def mean(values: Sequence[float]) -> Estimate:
    """Estimate a mean with the percentile interval of the bootstrap over rows."""
    import numpy as np

    n = len(values)
    if not n:
        return Estimate(0)
    low, high = np.percentile(_resampled_means(values), [2.5, 97.5])
    return Estimate(n, float(np.mean(values)), float(low), float(high))


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p-value of McNemar's exact test, that a changed row is as likely to be gained as lost.

    Args:
        gained: number of rows that only the second evaluation got right.
        lost: number of rows that only the first got right.
    """
    changed = gained + lost
    tail = sum(comb(changed, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**changed)


def sign_flips(differences: Sequence[float], seed: int = 0) -> float:
    """Two-sided p-value of the paired permutation test, which swaps the two values of each pair at random.

    The observed assignment counts among the permutations, so the smallest p-value is 1 / (RESAMPLES + 1).
    """
    import numpy as np

    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    if not values.size:
        return 1.0
    rng = np.random.default_rng(seed)
    observed = abs(values.sum()) * (1 - 1e-12)  # sums that differ by rounding alone are equal
    as_large, done = 0, 0
    while done < RESAMPLES:
        rounds = min(RESAMPLES - done, max(1, _CHUNK // values.size))
        signs = rng.integers(0, 2, (rounds, values.size), dtype=np.int8) * 2 - 1
        as_large += int((np.abs(signs @ values) >= observed).sum())
        done += rounds
    return (1 + as_large) / (1 + RESAMPLES)


def _resampled_means(values: Sequence[float], seed: int = 0) -> Any:
    import numpy as np

    array = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means: list[Any] = []
    while sum(map(len, means)) < RESAMPLES:
        rounds = min(RESAMPLES - sum(map(len, means)), max(1, _CHUNK // array.size))
        means.append(array[rng.integers(0, array.size, (rounds, array.size))].mean(axis=1))
    return np.concatenate(means)
