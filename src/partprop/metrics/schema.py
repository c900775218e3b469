"""The shape of one method's scores in metrics.json and in the output of `partprop evaluate`."""

from typing import NotRequired, TypedDict


class StatisticsBlock(TypedDict):
    """Means over the objects of all sequences; mean and recall in [0, 1], decay in [-1, 1]."""

    mean: float
    recall: float
    decay: float


class ObjectBlock(TypedDict):
    """Means over the frames of an object, in [0, 1]."""

    J: float
    F: float


SequenceBlock = TypedDict("SequenceBlock", {"J&F": float, "J": float, "F": float, "objects": dict[str, ObjectBlock]})
"""Means over the objects of a sequence, in [0, 1], and its objects by id."""


class BoxesBlock(TypedDict):
    """Measures of boxes, means over the objects of all sequences.

    Area under the success plot and precision at 20 pixels, in [0, 1]; and, where the tracker was started again after
    failures, VOT's accuracy in [0, 1], absent for videos too short for it, and the number of failures.
    """

    success_auc: float
    precision_20px: float
    vot_accuracy: NotRequired[float]
    vot_failures: NotRequired[float]


class IntervalBlock(TypedDict):
    """The 95 % bootstrap interval of a mean, over the sequences."""

    low: float
    high: float


Metrics = TypedDict(
    "Metrics",
    {
        "J&F": float,
        "J&F_interval": IntervalBlock,
        "J": StatisticsBlock,
        "F": StatisticsBlock,
        "boxes": BoxesBlock,
        "sequences": dict[str, SequenceBlock],
    },
)
"""One method's scores, and those of its sequences by name. J&F is the mean of the means of J and F."""
