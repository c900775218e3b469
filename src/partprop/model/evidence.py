"""Evidence for an object in a window of the current frame: all that pixel correlation finds."""

from typing import NamedTuple

import torch
from torch import Tensor

from partprop.model.readout import ReadOut
from partprop.model.windows import Window


class Evidence(NamedTuple):
    """What each cell of a window, h rows and w columns at stride 8, shows of an object.

    Attributes:
        globally: read from the memory.
        locally: read from the previous frame.
        filtered: (B, 1, h, w) in [0, 1], mask of the correlation filter.
    """

    globally: ReadOut
    locally: ReadOut
    filtered: Tensor

    @property
    def masks(self) -> Tensor:
        """Masks (B, 3, h, w) in [0, 1]: read globally, found by the filter, read locally."""
        return torch.cat([self.globally.mask, self.filtered, self.locally.mask], 1)

    @property
    def values(self) -> Tensor:
        """Values (B, 2V, h, w): read globally, read locally."""
        return torch.cat([self.globally.values, self.locally.values], 1)

    @property
    def matches(self) -> Tensor:
        """All but the values, (B, 9, h, w) in [-1, 1]: read globally, read locally, filtered."""
        return torch.cat([*self.globally.matches, *self.locally.matches, self.filtered], 1)

    @property
    def lead(self) -> Tensor:
        """Best cosine with the memory minus best cosine with the previous frame, (B, 1, h, w)."""
        return self.globally.best_cosine - self.locally.best_cosine

    def trusting(self, trust: Tensor) -> "Evidence":
        """Blend the mask and matches read globally towards the local ones where trust is low; values stay.

        Otherwise the decoder takes whatever is absent from the memory for background.

        Args:
            trust: (B, 1, h, w) in [0, 1], trust in global matches.
        """
        mixed = (
            trust * far + (1 - trust) * near for far, near in zip(self.globally[1:], self.locally[1:], strict=True)
        )
        return self._replace(globally=ReadOut(self.globally.values, *mixed))


class Correlated(NamedTuple):
    """Result of correlating a window of the current frame with an object's past.

    Attributes:
        evidence: see `Evidence`.
        prior: (B, 1, 2h, 2w), mask logits at stride 4 before the decoder corrects them.
        trust: (B, 1, h, w) in [0, 1], the decoder's trust in global matches.
        window: rows and columns of the stride-8 grid.
        previous_mask: (B, 1, ·, ·) in [0, 1], mask of the whole previous frame.
    """

    evidence: Evidence
    prior: Tensor
    trust: Tensor
    window: Window
    previous_mask: Tensor
