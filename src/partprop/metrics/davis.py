"""The measures of DAVIS: region similarity J, contour accuracy F, and their statistics over a video.

Sources: Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016;
Pont-Tuset et al., "The 2017 DAVIS Challenge on Video Object Segmentation". The numbers equal those of the official code
(davis2017-evaluation). Void pixels are removed from both masks, as in its functions. Its driver turns void into
background before it calls them; on DAVIS, which has no void pixels, both are the same.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from partprop.metrics.bitmaps import Grid

BOUNDARY_TOLERANCE = 0.008  # maximum distance of matching boundary pixels, as a share of the frame's diagonal
RECALL_THRESHOLD = 0.5


@dataclass(frozen=True)
class Statistics:
    """Statistics of J or F over the frames of an object.

    Attributes:
        mean: mean over the frames.
        recall: share of frames above 0.5.
        decay: mean over the first quarter of the frames minus mean over the last; negative if the score improves.
    """

    mean: float
    recall: float
    decay: float


def jaccard(prediction: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None) -> float:
    """Region similarity J: intersection over union, in [0, 1]; 1 if both masks are empty.

    Args:
        prediction, truth: bool (H, W).
        void: bool (H, W), pixels removed from both masks.
    """
    prediction, truth = _without_void(prediction, truth, void)
    union = np.count_nonzero(prediction | truth)
    return np.count_nonzero(prediction & truth) / union if union else 1.0


def boundary_radius(shape: tuple[int, ...]) -> int:
    """Maximum distance of matching boundary pixels in a frame of shape (H, W), in pixels."""
    return int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(shape[0], shape[1])))


def boundary_f(
    prediction: np.ndarray, truth: np.ndarray, void: np.ndarray | None = None, radius: int | None = None
) -> float:
    """Contour accuracy F: harmonic mean of the precision and recall of boundary pixels, in [0, 1].

    A boundary pixel matches if the other mask has a boundary pixel within `radius`. F is 1 if neither mask has a
    boundary and 0 if only one has. A mask that fills the frame has no boundary.

    Args:
        prediction, truth: bool (H, W).
        void: bool (H, W), pixels removed from both masks.
        radius: in pixels; None for `boundary_radius` of the masks' shape.
    """
    prediction, truth = _without_void(prediction, truth, void)
    radius = boundary_radius(truth.shape) if radius is None else radius
    window = _window(prediction | truth)
    height, width = truth[window].shape
    grid = Grid(height, width, margin=radius)
    predicted, true = (grid.boundary(grid.pack(mask[window])) for mask in (prediction, truth))
    if not predicted or not true:
        return float(predicted == true)
    precision = (predicted & grid.dilate(true, radius)).bit_count() / predicted.bit_count()
    recall = (true & grid.dilate(predicted, radius)).bit_count() / true.bit_count()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def statistics(values: np.ndarray) -> Statistics:
    """Mean, recall and decay of per-frame values (T,), T at least 1. NaN frames are ignored as in the official code.

    The official code stores the limits of the quarters in 8 bits, which overflow for more than 256 frames; not so here.
    """
    limits = (np.round(np.linspace(1, len(values), 5) + 1e-10) - 1).astype(int)
    first, last = values[limits[0] : limits[1] + 1], values[limits[3] : limits[4] + 1]
    return Statistics(
        mean=float(np.nanmean(values)),
        recall=float(np.mean(values > RECALL_THRESHOLD)),
        decay=float(np.nanmean(first) - np.nanmean(last)),
    )


def _without_void(prediction: np.ndarray, truth: np.ndarray, void: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    return (prediction, truth) if void is None else (prediction & ~void, truth & ~void)


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """The mask's bounding box plus one pixel on each side, clipped to the frame. It contains the whole boundary."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return slice(max(y - 1, 0), y + height + 1), slice(max(x - 1, 0), x + width + 1)
