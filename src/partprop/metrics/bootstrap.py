"""Percentile bootstrap intervals over sequences.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
"""

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0  # fixed, so that equal scores have equal intervals


def bootstrap_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Percentile interval, at LEVEL, of the mean over the objects of all sequences.

    Sequences are resampled instead of objects, since the scores of objects of one video are correlated.

    Args:
        sums: (S,), sum of the values of each sequence's objects; at least one sequence.
        counts: (S,), number of objects of each sequence.

    Returns:
        Lower and upper end; both equal the mean for a single sequence.
    """
    picks = np.random.default_rng(SEED).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
