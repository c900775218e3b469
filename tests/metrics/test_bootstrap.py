"""The bootstrap interval: equal to SciPy's, and in the range of the values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from partprop.metrics.bootstrap import LEVEL, bootstrap_interval


def test_interval_equals_that_of_scipy() -> None:
    values = np.random.default_rng(5).beta(6, 2, 30)
    low, high = bootstrap_interval(values, np.ones(30))
    reference = bootstrap((values,), np.mean, confidence_level=LEVEL, method="percentile", n_resamples=20_000, rng=1)
    assert low == pytest.approx(reference.confidence_interval.low, abs=3e-3)
    assert high == pytest.approx(reference.confidence_interval.high, abs=3e-3)


def test_the_mean_is_over_objects_and_the_resampling_over_sequences() -> None:
    # a sequence of three objects at 1 and one of a single object at 0: resamples hold 0, 3/4 or 1 on average
    assert bootstrap_interval(np.array([3.0, 0.0]), np.array([3, 1])) == (0, 1)
    low, high = bootstrap_interval(np.array([1.5, 0.5]), np.array([3, 1]))
    assert low == high == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_interval_stays_in_the_range_of_the_values(values: list[float]) -> None:
    low, high = bootstrap_interval(np.array(values), np.ones(len(values)))
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    if len(set(values)) == 1:
        assert low == pytest.approx(values[0])
