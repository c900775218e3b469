"""Settings of the online loop, and what several objects share of them."""

from dataclasses import dataclass

LEAST_PARTS = 2  # of each of several objects
RADIUS_OF_SEVERAL = 6  # cells of stride 8, the reach of the fine read-out
HISTORY = 2  # frames before the previous one that the fine read-out of a single object uses


@dataclass(frozen=True)
class Settings:
    """Settings of the online loop.

    Attributes:
        short_side: working resolution, pixels of a frame's shorter side; frames are at most doubled to reach it.
        parts: parts of an object at most, beside the whole; several objects share them, each with at least two.
        lost_score: confidence in [0, 1] below which an object counts as lost.
        memory_every: add a recent frame to the memory every N frames; 0 keeps the first frame only.

    Raises:
        ValueError: a value is out of range.
    """

    short_side: int
    parts: int
    lost_score: float
    memory_every: int

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.parts < 0 or not 0 <= self.lost_score <= 1 or self.memory_every < 0:
            raise ValueError(f"out of range: {self}")


@dataclass(frozen=True)
class Budget:
    """What each object may cost in a frame.

    Attributes:
        parts: parts beside the whole object.
        radius: of the local read-out in cells of stride 8; None is the network's.
        history: frames before the previous one whose contours are read.
    """

    parts: int
    radius: int | None
    history: int

    @classmethod
    def share(cls, settings: Settings, objects: int) -> "Budget":
        """The budget of each object in a frame with `objects` of them, lost ones included."""
        if objects == 1:
            return cls(settings.parts, None, HISTORY)
        parts = min(settings.parts, max(LEAST_PARTS, settings.parts // objects))
        return cls(parts, RADIUS_OF_SEVERAL, 0)
