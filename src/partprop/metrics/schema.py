"""Types of one method's scores, as in metrics.json and in the JSON of `partprop evaluate`."""

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
"""Means over the objects of a sequence, in [0, 1], and the scores of its objects by id."""


class BoxesBlock(TypedDict):
    """Box measures, means over the objects of all sequences.

    Attributes:
        success_auc: area under OTB's success plot, in [0, 1].
        precision_20px: OTB's precision at 20 pixels, in [0, 1].
        vot_accuracy: mean overlap under VOT's supervised protocol, in [0, 1]; absent if the videos are too short.
        vot_failures: failures per object under that protocol; absent if it was not run.
    """

    success_auc: float
    precision_20px: float
    vot_accuracy: NotRequired[float]
    vot_failures: NotRequired[float]


class IntervalBlock(TypedDict):
    """95 % bootstrap interval of a mean, resampled over the sequences."""

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
"""One method's scores, overall and by sequence. J&F is the mean of the means of J and F."""
