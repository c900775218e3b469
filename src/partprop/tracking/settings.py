"""How a video is run."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How a video is run.

    short_side: the working resolution, pixels of the frame's shorter side, which is at most doubled for it. parts: at
    most so many beside the whole object; several objects share them, but each has two, if so many are allowed.
    lost_score: confidence in [0, 1] below which an object counts as lost. memory_every: the object is remembered from
    every so many frames, the last of which is kept; 0 remembers the first frame alone.

    Raises:
        ValueError: one is out of its range.
    """

    short_side: int
    parts: int
    lost_score: float
    memory_every: int

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.parts < 0 or not 0 <= self.lost_score <= 1 or self.memory_every < 0:
            raise ValueError(f"out of range: {self}")
