"""Segment a video from disk, for validation during training and for inference."""

from collections.abc import Iterator

from partprop.base.errors import UserError
from partprop.data.video import Video
from partprop.model.network import Network
from partprop.tracking.result import Result
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings


def segment_sequence(network: Network, settings: Settings, sequence: Video) -> Iterator[tuple[str, Result]]:
    """Yield the name and result of each frame, including the first with its given mask.

    Raises:
        UserError: the first frame has no mask.
    """
    labels = sequence.labels(0)
    if labels is None:
        raise UserError(f"{sequence.frames[0]}: the first frame has no mask; one-shot segmentation needs one")
    segmenter = Segmenter(network, settings)
    yield sequence.frame_names[0], segmenter.start(sequence.image(0), labels)
    for index in range(1, len(sequence)):
        yield sequence.frame_names[index], segmenter.step(sequence.image(index))
