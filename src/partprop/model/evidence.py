"""The channels of what pixel correlation reads: what is a mask, and what the decoder is to believe."""

from typing import NamedTuple

import torch
from torch import Tensor

from partprop.model.readout import READOUT_EXTRA


class Correlated(NamedTuple):
    """What reference and previous frame say of a window of the current frame, h rows and w columns at stride 8.

    evidence: (B, E, h, w), of `PixelCorrelation.forward` and, last, the filter's mask, or without a filter the one that
    is read globally. prior: (B, 1, 2h, 2w), logits of the mask that it and the fine read-out at stride 4 give. trust:
    (B, 1, h, w) in [0, 1], the decoder's in global matches; it goes by local ones for the rest.
    """

    evidence: Tensor
    prior: Tensor
    trust: Tensor


class Prepared(NamedTuple):
    """What the decoder sees of a window, to be aligned to its parts: prior as in `Correlated`.

    read: (B, 41, h, w), values as of `MaskDecoder.prepare_values` and matches as of `split_readouts`.
    """

    read: Tensor
    prior: Tensor


def masks_of(evidence: Tensor) -> Tensor:
    """Of evidence (N, E, ·, ·) the masks (N, 3, ·, ·): read globally, found by the filter, read locally."""
    values = _value_channels(evidence)
    return evidence[:, [values, -1, 2 * values + READOUT_EXTRA]]


def split_readouts(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Evidence as values (N, 2V, ·, ·) and matches (N, 9, ·, ·)."""
    *parts, found = evidence.split([*([_value_channels(evidence), READOUT_EXTRA] * 2), 1], dim=1)
    return torch.cat(parts[::2], 1), torch.cat([*parts[1::2], found], 1)


def lead(evidence: Tensor) -> Tensor:
    """By how much the best cosine with the memory exceeds that with the previous frame, (B, 1, h, w)."""
    readout = _value_channels(evidence) + READOUT_EXTRA
    return evidence[:, readout - 1 : readout] - evidence[:, 2 * readout - 1 : 2 * readout]


def believed(correlated: Correlated) -> Tensor:
    """The evidence (B, E, h, w) with local matches in the place of global ones where the memory is not trusted.

    The decoder would take what the memory does not know for ground: while it is trained, the reference is never so old.
    """
    evidence, trust = correlated.evidence, correlated.trust
    globally, locally, found = evidence.split([evidence.shape[1] // 2, evidence.shape[1] // 2, 1], 1)
    values = globally[:, :-READOUT_EXTRA]
    matches = trust * globally[:, -READOUT_EXTRA:] + (1 - trust) * locally[:, -READOUT_EXTRA:]
    return torch.cat([values, matches, locally, found], 1)


def _value_channels(evidence: Tensor) -> int:
    return evidence.shape[1] // 2 - READOUT_EXTRA
