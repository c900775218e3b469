"""Similarity by correlation: depth-wise between a part and a window, pixel by pixel between frames."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.fpn import init_truncated_normal

UNREACHABLE = -1e4  # cosine of what may not be read; finite, or the temperature's gradient would be no number
READOUT_EXTRA = 3  # mask, match, similarity to the object


def depthwise_cross_correlation(template: Tensor, search: Tensor) -> Tensor:
    """Slide each template over its own search window, channel by channel (SiamRPN++, Li et al., CVPR 2019, 3.2).

    Args:
        template: (N, C, h, w).
        search: (N, C, H, W), H ≥ h and W ≥ w.

    Returns:
        (N, C, H - h + 1, W - w + 1): mean of the products, so that its scale does not depend on the template's size.
    """
    count, channels, height, width = template.shape
    kernel = template.reshape(count * channels, 1, height, width)
    windows = search.reshape(1, count * channels, *search.shape[2:])
    response = F.conv2d(windows, kernel, groups=count * channels) / (height * width)
    return response.view(count, channels, *response.shape[2:])


@dataclass(frozen=True)
class Memory:
    """Pixels of frames whose mask is known, per video of the batch.

    keys: (B, C, M), unit length. values: (B, V, M). mask: (B, M) in [0, 1]. M is all pixels of all frames.
    """

    keys: Tensor
    values: Tensor
    mask: Tensor

    def crop(self, shape: tuple[int, int], rows: slice, columns: slice) -> "Memory":
        """The pixels of a window of one frame's memory, whose grid has `shape` (h, w)."""
        keys, values, mask = (
            pixels.unflatten(-1, shape)[..., rows, columns].flatten(-2)
            for pixels in (self.keys, self.values, self.mask)
        )
        return Memory(keys, values, mask)

    @staticmethod
    def concatenate(memories: "list[Memory]") -> "Memory":
        """Join along the pixels."""
        return Memory(
            torch.cat([memory.keys for memory in memories], 2),
            torch.cat([memory.values for memory in memories], 2),
            torch.cat([memory.mask for memory in memories], 1),
        )


def read(memory: Memory, keys: Tensor, temperature: Tensor, reachable: Tensor | None = None) -> Tensor:
    """Read the memory with each pixel's key: by attention its value and mask, and the best match in object and ground.

    The attention is STM's (Oh et al., ICCV 2019, 3.2), the best matches are FEELVOS's (Voigtlaender et al., CVPR 2019,
    3.3), both on the cosine of the keys.

    Args:
        memory: of M pixels.
        keys: (B, C, N), unit length.
        temperature: scalar by which cosines are multiplied before the softmax.
        reachable: (N, M) boolean, which memory pixels a pixel may see; all by default.

    Returns:
        (B, V + 3, N): value; mask in [0, 1]; match in [0, 1], the odds of the best matches in object and background;
        best cosine with the object in [-1, 1].
    """
    cosine = keys.transpose(1, 2) @ memory.keys
    if reachable is not None:
        cosine = cosine.masked_fill(~reachable, UNREACHABLE)
    attention = (cosine * temperature).softmax(dim=2)
    known = torch.cat([memory.values, memory.mask[:, None]], 1)
    readout = known @ attention.transpose(1, 2)
    with torch.no_grad():  # the keys learn through the attention; a gradient of the maxima costs much and adds little
        is_object = memory.mask[:, None] > 0.5
        best_object = cosine.masked_fill(~is_object, -1.0).amax(2).clamp(min=-1)
        best_ground = cosine.masked_fill(is_object, -1.0).amax(2).clamp(min=-1)
        match = torch.sigmoid(temperature * (best_object - best_ground))
    return torch.cat([readout, match[:, None], best_object[:, None]], 1)


def within_radius(shape: tuple[int, int], other_shape: tuple[int, int], offset: tuple[int, int], radius: int) -> Tensor:
    """Which cells of one grid lie at most `radius` rows and columns from which of another: FlowNet's displacements.

    Args:
        shape: (h, w) of the grid that looks.
        other_shape: (H, W) of the grid that is seen.
        offset: row and column of the first grid's origin in the second.
        radius: in cells (Dosovitskiy et al., ICCV 2015, section 3: d).

    Returns:
        (h·w, H·W) boolean.
    """
    rows, columns = (
        (torch.arange(size)[:, None] + start - torch.arange(other)[None]).abs() <= radius
        for size, other, start in zip(shape, other_shape, offset, strict=True)
    )
    near = rows[:, None, :, None] & columns[None, :, None, :]
    return near.reshape(shape[0] * shape[1], other_shape[0] * other_shape[1])


class PixelCorrelation(nn.Module):
    """Embeds pixels as keys and values; reads a reference memory globally and the previous frame locally.

    A key is the backbone's C3, whose cosines match pixels well before any training (as label propagation shows),
    turned into the key space without changing them, plus what is learnt from P3.

    Args:
        base_channels: of C3.
        channels: of the pyramid.
        key_channels, value_channels: of the embedding.
        radius: reach of the local read-out, in cells of stride 8.
    """

    def __init__(
        self, base_channels: int, channels: int, key_channels: int, value_channels: int, radius: int = 8
    ) -> None:
        super().__init__()
        self.base = nn.Conv2d(base_channels, key_channels, 1, bias=False)
        self.learnt = nn.Conv2d(channels, key_channels, 3, padding=1)
        self.value = nn.Sequential(
            nn.Conv2d(channels + 1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, value_channels, 3, padding=1),
        )
        self.log_temperature = nn.Parameter(torch.tensor([3.7, 3.7]))  # e^3.7 ≈ 40, global and local
        self.radius = radius
        nn.init.orthogonal_(self.base.weight)
        init_truncated_normal(self.learnt, std=0.001)
        init_truncated_normal(self.value)

    def keys(self, c3: Tensor, p3: Tensor) -> Tensor:
        """Unit keys (B, C, h, w) of C3 (B, base_channels, h, w) and P3 (B, channels, h, w)."""
        return F.normalize(self.base(F.normalize(c3, dim=1)) + self.learnt(p3), dim=1)

    def memorise(self, p3: Tensor, keys: Tensor, mask: Tensor) -> Memory:
        """Memory of a frame whose mask (B, 1, h, w) at stride 8 is known."""
        values = self.value(torch.cat([p3, mask], 1))
        return Memory(keys.flatten(2), values.flatten(2), mask.flatten(1))

    def forward(
        self,
        keys: Tensor,
        reference: Memory,
        previous: Memory,
        previous_shape: tuple[int, int],
        offset: tuple[int, int],
    ) -> Tensor:
        """Evidence for a window of the current frame.

        Args:
            keys: (B, C, h, w) of the window.
            reference: what is known for certain, seen by every pixel.
            previous: the previous frame (or a window of it), of `previous_shape` (H, W) cells.
            offset: row and column of the window's origin in the previous frame's grid.

        Returns:
            (B, 2·(V + 3), h, w), the global read-out and then the local one, each as of `read`.
        """
        shape = (keys.shape[2], keys.shape[3])
        flat = keys.flatten(2)
        temperature = self.log_temperature.exp()
        near = within_radius(shape, previous_shape, offset, self.radius).to(keys.device)
        evidence = torch.cat([read(reference, flat, temperature[0]), read(previous, flat, temperature[1], near)], 1)
        return evidence.unflatten(2, shape)
