"""The memory of frames whose mask is known, and what a pixel reads of it."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FAINT = 1 / 16  # a mask with no more than half of it in every cell shows no object
READOUT_EXTRA = 4  # mask, match, similarity to the object, similarity to anything
AT_ONCE = 2**21  # similarities that are held at a time: all of a frame that an object fills would need much memory
UNREACHABLE = -1e4  # added to a similarity that does not count; finite, or gradients would be no numbers


@dataclass(frozen=True)
class Memory:
    """Pixels of frames whose mask is known, per video of the batch.

    keys: (B, C, M), unit length, or shorter where they are to count less. values: (B, V, M). mask: (B, M) in [0, 1].
    is_object: (B, M), as of `object_cells` of each frame. M is the pixels of all frames.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor
    is_object: Tensor

    def joined(self, others: "Memory", weight: float) -> "Memory":
        """This memory and another, whose cosines count `weight` in [0, 1]: where in doubt, this one is believed."""
        return Memory(
            torch.cat([self.keys, weight * others.keys], 2),
            torch.cat([self.values, others.values], 2),
            torch.cat([self.mask, others.mask], 1),
            torch.cat([self.is_object, others.is_object], 1),
        )

    def select(self, pixels: Tensor) -> "Memory":
        """The pixels where (M,) is true."""
        return Memory(
            self.keys[:, :, pixels], self.values[:, :, pixels], self.mask[:, pixels], self.is_object[:, pixels]
        )

    def coarsened(self, near: Tensor, side: int) -> "Memory":
        """One frame's memory with blocks of `side` rows and columns as one pixel, where none of them is `near` (h, w).

        Such a pixel has the mean value and mask, the direction of the mean key, and is what most of them are.
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


def read(memory: Memory, keys: Tensor, temperature: Tensor) -> Tensor:
    """Read the memory with each pixel's key: by attention its value and mask, and the best match in object and ground.

    The attention is STM's (Oh et al., ICCV 2019, 3.2), the best matches are FEELVOS's (Voigtlaender et al., CVPR 2019,
    3.3), both on the cosine of the keys.

    Args:
        memory: of M pixels.
        keys: (B, C, N), unit length.
        temperature: scalar by which cosines are multiplied before the softmax.

    Returns:
        (B, V + 4, N): value; mask in [0, 1]; match in [0, 1], the odds of the best matches in object and background;
        best cosine with the object and with any pixel, in [-1, 1].
    """
    parts = keys.split(max(1, AT_ONCE // memory.mask.shape[1]), dim=2)
    return torch.cat([_read(memory, part, temperature) for part in parts], 2)


def _read(memory: Memory, keys: Tensor, temperature: Tensor) -> Tensor:
    similarity = (temperature * keys).transpose(1, 2) @ memory.keys
    readout = similarity.softmax(2) @ torch.cat([memory.values, memory.mask[:, None]], 1).transpose(1, 2)
    with torch.no_grad():  # the temperature learns through the attention; a gradient of the maxima would cost much
        odds = matches(similarity.detach(), memory.is_object[:, None], temperature)
    return torch.cat([readout, odds], 2).transpose(1, 2)


def object_cells(mask: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Which cells of a mask in [0, 1] count as object: those that it fills by half.

    Where it fills none by half, as that of a thin object, those that it fills by half of the most.

    Args:
        dim: of the cells.
    """
    most = mask.amax(dim, keepdim=True)
    return mask > 0.5 * torch.where(most > 0.5, 1.0, most).clamp(min=FAINT)


def matches(similarity: Tensor, is_object: Tensor, temperature: Tensor) -> Tensor:
    """Match and best cosines (…, N, 3), as of `read`.

    Args:
        similarity: (…, N, M), cosines times the temperature.
        is_object: (…, 1, M) boolean, of what is seen.
        temperature: scalar.
    """
    best_object, best_ground = (
        (similarity + barrier(hidden, similarity)).amax(-1, keepdim=True).maximum(-temperature)
        for hidden in (~is_object, is_object)
    )
    best = torch.maximum(best_object, best_ground)
    return torch.cat([torch.sigmoid(best_object - best_ground), best_object / temperature, best / temperature], -1)


def barrier(hidden: Tensor, like: Tensor) -> Tensor:
    """What is to be added to similarities so that hidden ones do not count: several times faster than to fill them."""
    return hidden.to(like.dtype) * UNREACHABLE
