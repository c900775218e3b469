"""Keys: unit vectors by whose cosine pixels are matched, projected from the backbone's levels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.pyramid import Pyramid

KEY_SHARES = (3 / 16, 5 / 16, 1 / 2)  # of the key channels, for C2, C3 and C4


class KeyedPyramid(nn.Module):
    """What pre-training learns: a pyramid, and the projections of its keys.

    Args:
        pyramid: backbone and FPN.
        projections: of C2, C3 and C4, see `key_projections`.
    """

    def __init__(self, pyramid: Pyramid, projections: nn.ModuleList) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.projections = projections

    def forward(self, images: Tensor) -> Tensor:
        """Map normalised images (B, 3, H, W), sides multiples of 32, to unit keys at stride 8, (B, K, H/8, W/8)."""
        levels = self.pyramid.backbone_levels(images)[:3]
        return unit_keys(project(self.projections, levels, levels[0].shape[2:]))[1]


def key_projections(base_channels: Sequence[int], key_channels: int) -> nn.ModuleList:
    """Orthogonal projections of C2, C3 and C4 to their shares of the key channels; they preserve lengths and cosines.

    With fewer outputs than inputs they do so on average.
    """
    widths = [round(share * key_channels) for share in KEY_SHARES]
    layers = nn.ModuleList()
    for inputs, outputs in zip(base_channels, widths, strict=True):
        layer = nn.Conv2d(inputs, outputs, 1, bias=False)
        nn.init.orthogonal_(layer.weight, gain=max(1.0, inputs / outputs) ** 0.5)
        layers.append(layer)
    return layers


def project(projections: nn.ModuleList, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
    """Unnormalised keys (B, K, h, w) of `size` (h, w) from levels C2, C3 and C4, which count equally at first."""
    projected = [layer(F.normalize(level, dim=1)) for layer, level in zip(projections, levels, strict=True)]
    resized = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in projected]
    return torch.cat(resized, 1)


def unit_keys(keys: Tensor) -> tuple[Tensor, Tensor]:
    """Unit keys at stride 4, (B, K, h, w), and, averaged, at stride 8, (B, K, h/2, w/2)."""
    keys = F.normalize(keys, dim=1)
    return keys, F.normalize(F.avg_pool2d(keys, 2), dim=1)
