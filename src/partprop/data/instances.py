"""Annotated objects of still images, and what every set of such images offers."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class Instance:
    """One annotated object.

    Attributes:
        box_xyxy: float32 (4,), left, top, right, bottom in pixels, inside the image, with positive area.
        category: its name; None if it is unknown.
        mask: uint8 (H, W), 0 or 1; None if the annotation has only a box.
        crowd: whether the region covers a group of objects.
    """

    box_xyxy: np.ndarray
    category: str | None
    mask: np.ndarray | None
    crowd: bool


class InstanceImages(Protocol):
    """Still images with annotated objects: one split of COCO, or a folder of `StillImages`."""

    @property
    def origin(self) -> Path:
        """The file or folder that messages name."""
        ...

    def __len__(self) -> int: ...

    def image(self, index: int) -> np.ndarray:
        """Read an image: uint8 (H, W, 3), RGB."""
        ...

    def instances(self, index: int) -> list[Instance]:
        """Read the objects of an image."""
        ...

    def categories_in(self, index: int) -> Collection[str]:
        """The categories that an image shows, as far as they are known."""
        ...
