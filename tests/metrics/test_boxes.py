"""Box measures on cases computed by hand."""

import numpy as np
import pytest

from partprop.metrics.boxes import (
    PRECISION_THRESHOLDS,
    SUCCESS_THRESHOLDS,
    centre_error,
    overlap,
    precision_curve,
    success_curve,
)


def box(*sides: float) -> np.ndarray:
    return np.array(sides, dtype=float)


def test_overlap_and_centre_error() -> None:
    truth = box(10, 10, 20, 30)
    assert overlap(truth, truth) == 1
    assert overlap(box(15, 10, 25, 30), truth) == pytest.approx(100 / 300)
    assert overlap(box(20, 10, 30, 30), truth) == 0
    assert overlap(box(40, 50, 60, 60), truth) == 0
    assert overlap(None, truth) == 0
    assert centre_error(box(13, 14, 23, 34), truth) == pytest.approx(5)
    assert centre_error(None, truth) == np.inf


def test_success_counts_frames_above_the_threshold() -> None:
    curve = success_curve(np.array([0.0, 0.25, 0.6, 1.0]))
    assert len(curve) == 21
    assert SUCCESS_THRESHOLDS[[0, 5, 12, 20]].tolist() == [0, 0.25, 0.6, 1]
    # An overlap equal to the threshold is no success: 0, 0.25, 0.6 and 1 drop out at their own threshold.
    assert curve[[0, 4, 5, 11, 12, 19, 20]].tolist() == [0.75, 0.75, 0.5, 0.5, 0.25, 0.25, 0]
    assert success_curve(np.ones(3)).mean() == pytest.approx(20 / 21)


def test_precision_counts_frames_up_to_the_threshold() -> None:
    curve = precision_curve(np.array([0.0, 20.0, 20.5, np.inf]))
    assert PRECISION_THRESHOLDS.tolist() == list(range(51))
    assert curve[[0, 19, 20, 21, 50]].tolist() == [0.25, 0.25, 0.5, 0.75, 0.75]
