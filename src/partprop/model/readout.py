"""Memory of frames with known masks, and what a pixel reads from it."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

FAINT = 1 / 16  # a mask that fills no cell by more than half of this shows no object
SIMILARITIES_AT_ONCE = 2**21  # similarities held at a time: those of a large object with a large memory need much RAM
UNREACHABLE = -1e4  # added to excluded similarities; finite, since infinities would give NaN gradients


class ReadOut(NamedTuple):
    """What each cell of a window reads from a memory or from a neighbourhood, maps (B, ·, h, w).

    Attributes:
        values: (B, V, h, w), read by attention.
        mask: (B, 1, h, w) in [0, 1], read by attention.
        match: (B, 1, h, w) in [0, 1], sigmoid of the scaled difference of the best cosine in the object and the best in
            the background.
        object_cosine, best_cosine: (B, 1, h, w) in [-1, 1], cosine with the best match in the object, and with the best
            match of all.
    """

    values: Tensor
    mask: Tensor
    match: Tensor
    object_cosine: Tensor
    best_cosine: Tensor

    @classmethod
    def of(cls, packed: Tensor) -> "ReadOut":
        """From channels (B, V + 4, h, w) in the order of the attributes."""
        return cls(*packed.split([packed.shape[1] - MATCH_CHANNELS, *[1] * MATCH_CHANNELS], 1))

    @property
    def matches(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """All but the values."""
        return self[1:]


MATCH_CHANNELS = len(ReadOut._fields) - 1
"""Channels of a read-out beside its values."""


@dataclass(frozen=True)
class Memory:
    """M pixels of frames with known masks, for each of B videos.

    Attributes:
        keys: (B, C, M), length 1, or less for pixels that are to count less.
        values: (B, V, M).
        mask: (B, M) in [0, 1].
        is_object: (B, M) boolean, see `object_cells`.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    is_object: Tensor

    def joined(self, others: "Memory", weight: float) -> "Memory":
        """This memory and another one, whose cosines are multiplied by `weight` in [0, 1]."""
        return Memory(
            torch.cat([self.keys, weight * others.keys], 2),
            torch.cat([self.values, others.values], 2),
            torch.cat([self.mask, others.mask], 1),
            torch.cat([self.is_object, others.is_object], 1),
        )

    def select(self, pixels: Tensor) -> "Memory":
        """The pixels where a boolean (M,) is true."""
        return Memory(
            self.keys[:, :, pixels], self.values[:, :, pixels], self.mask[:, pixels], self.is_object[:, pixels]
        )

    def coarsened(self, near: Tensor, side: int) -> "Memory":
        """Merge blocks of `side` rows and columns of one frame's memory into one pixel each.

        A merged pixel has the mean value and mask and the direction of the mean key; the majority decides `is_object`.

        Args:
            near: boolean (h, w); blocks with a near cell are kept cell by cell.
        """
        blocks = F.max_pool2d(near[None, None].to(self.mask.dtype), side, ceil_mode=True) > 0
        kept = blocks[0, 0].repeat_interleave(side, 0).repeat_interleave(side, 1)[: near.shape[0], : near.shape[1]]
        shares = torch.stack([self.mask, self.is_object.to(self.mask.dtype)], 1)
        maps = torch.cat([self.keys, self.values, shares], 1).unflatten(2, near.shape)
        means = F.avg_pool2d(maps, side, ceil_mode=True, count_include_pad=False).flatten(2)
        keys, values, shares = means.split([self.keys.shape[1], self.values.shape[1], 2], 1)
        mask, is_object = shares[:, 0], shares[:, 1] > 0.5
        far = Memory(F.normalize(keys, dim=1), values, mask, is_object).select(~blocks.flatten())
        return self.select(kept.flatten()).joined(far, 1.0)


def read(memory: Memory, keys: Tensor, temperature: Tensor) -> ReadOut:
    """Read the memory at each cell: value and mask by attention, and the best matches in object and background.

    Attention is that of STM (Oh et al., ICCV 2019, 3.2), best matches are those of FEELVOS (Voigtlaender et al., CVPR
    2019, 3.3), both on the cosine of the keys.

    Args:
        memory: M pixels.
        keys: (B, C, h, w), unit length.
        temperature: inverse temperature, the scalar by which cosines are multiplied before the softmax.
    """
    chunks = keys.flatten(2).split(max(1, SIMILARITIES_AT_ONCE // memory.mask.shape[1]), dim=2)
    packed = torch.cat([_read(memory, chunk, temperature) for chunk in chunks], 2)
    return ReadOut.of(packed.unflatten(2, keys.shape[2:]))


def _read(memory: Memory, keys: Tensor, temperature: Tensor) -> Tensor:
    """Channels (B, V + 4, N) of the read-out at N cells with keys (B, C, N)."""
    similarity = (temperature * keys).transpose(1, 2) @ memory.keys
    readout = similarity.softmax(2) @ torch.cat([memory.values, memory.mask[:, None]], 1).transpose(1, 2)
    with torch.no_grad():  # the temperature learns through the attention; a gradient of the maxima would cost much
        best = best_matches(similarity.detach(), memory.is_object[:, None], temperature)
    return torch.cat([readout, best], 2).transpose(1, 2)


def object_cells(mask: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Which cells of a mask in [0, 1] count as object: those it fills by half.

    A thin object may fill no cell by half; then those it fills by half of the most filled cell count.

    Args:
        dim: dimensions of the cells.
    """
    most = mask.amax(dim, keepdim=True)
    return mask > 0.5 * torch.where(most > 0.5, 1.0, most).clamp(min=FAINT)


def best_matches(similarity: Tensor, is_object: Tensor, temperature: Tensor) -> Tensor:
    """Match, object cosine and best cosine (…, N, 3), see `ReadOut`.

    Args:
        similarity: (…, N, M), cosines times the temperature.
        is_object: (…, 1, M) boolean, of the cells that are read.
        temperature: scalar.
    """
    best_object, best_background = (
        (similarity + exclusion(excluded, similarity)).amax(-1, keepdim=True).maximum(-temperature)
        for excluded in (~is_object, is_object)
    )
    best = torch.maximum(best_object, best_background)
    return torch.cat([torch.sigmoid(best_object - best_background), best_object / temperature, best / temperature], -1)


def exclusion(excluded: Tensor, like: Tensor) -> Tensor:
    """Term that, added to similarities, excludes some of them; several times faster than filling them."""
    return excluded.to(like.dtype) * UNREACHABLE
