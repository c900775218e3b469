"""How sure a mean over videos is: the bootstrap over sequences (Efron and Tibshirani, 1993, section 13.3)."""

import numpy as np

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 0  # the same scores give the same interval


def bootstrap_interval(sums: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """The percentile interval, at LEVEL, of a mean over the objects of all sequences.

    Sequences are resampled and not objects, because objects of one video share its difficulties.

    Args:
        sums: (S,), the sum over the objects of each sequence, at least one.
        counts: (S,), the number of its objects.

    Returns:
        Lower and upper end; both the mean itself where there is one sequence.
    """
    picks = np.random.default_rng(SEED).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[picks].sum(axis=1) / counts[picks].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
