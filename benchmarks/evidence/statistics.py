"""Means with intervals, paired tests, and what they could have told."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

POWER = 0.8
LEVEL = 0.05


class Paired(NamedTuple):
    """A mean difference over pairs, as text with its 95% interval, and its p-value; None where there is none."""

    text: str
    p: float | None


def interval(values: Sequence[float]) -> str:
    """The mean, and half of its 95% interval."""
    if len(values) < 2:
        return f"{values[0]:.3f}"
    half = stats.t.ppf(1 - LEVEL / 2, len(values) - 1) * stats.sem(values)
    return f"{fmean(values):.3f} ± {half:.3f}"


def paired(differences: Sequence[float]) -> Paired:
    """The mean difference with its 95% interval, and the p-value of the paired t-test."""
    if not differences:
        return Paired("–", None)
    if len(differences) < 2 or len(set(differences)) == 1:
        return Paired(f"{fmean(differences):+.3f}", None)
    half = stats.t.ppf(1 - LEVEL / 2, len(differences) - 1) * stats.sem(differences)
    return Paired(f"{fmean(differences):+.3f} ± {half:.3f}", float(stats.ttest_1samp(differences, 0).pvalue))


def detectable(differences: Sequence[float]) -> float | None:
    """The mean difference that a two-sided paired t-test would find with probability POWER, given this many pairs and
    their spread; None for fewer than two pairs or no spread."""
    count = len(differences)
    if count < 2 or (spread := float(np.std(differences, ddof=1))) == 0:
        return None
    critical = stats.t.ppf(1 - LEVEL / 2, count - 1)

    def lacking(effect: float) -> float:
        noncentrality = effect * count**0.5
        missed = stats.nct.cdf(critical, count - 1, noncentrality) - stats.nct.cdf(-critical, count - 1, noncentrality)
        return 1 - float(np.nan_to_num(missed)) - POWER  # NaN so far from zero that nothing is missed

    return spread * float(optimize.brentq(lacking, 0.01, 50))


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values for their number by Holm's method; None stays None and counts as one that is yet to come."""
    order = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, place) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(ps) - rank)))
        adjusted[place] = highest
    return adjusted
