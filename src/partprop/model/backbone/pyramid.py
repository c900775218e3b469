"""Feature pyramid network: P2 to P6 from a backbone's C2 to C5 (Lin et al., CVPR 2017)."""

from collections import OrderedDict
from typing import cast

import torch.nn.functional as F
from timm.models import FeatureInfo
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from partprop.model.backbone.devices import in_device_format


class Pyramid(nn.Module):
    """Backbone and FPN in one pass.

    Args:
        backbone: maps images to [C2, C3, C4, C5], see `build_backbone`.
        channels: of each pyramid level.
    """

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone = backbone
        inputs = cast(FeatureInfo, backbone.feature_info).channels()
        self.fpn = FeaturePyramidNetwork(inputs, channels, extra_blocks=LastLevelMaxPool())
        self.out_channels = channels
        self.base_channels = inputs
        init_truncated_normal(self.fpn)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """Map normalised images (B, 3, H, W) to levels "0" to "3" (P2 to P5, strides 4 to 32) and "pool" (P6)."""
        return self.top_down(self.backbone_levels(images))

    def levels(self, images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """[C2, …, C5] and [P2, …, P5] of normalised images (B, 3, H, W), P2 before its last convolution, `finest`.

        That convolution takes a third of the pyramid's time; callers merge it with their own, see `Reduction.after`.
        """
        backbone_levels = self.backbone_levels(images)
        top_down: list[Tensor] = []
        for index in reversed(range(4)):
            merged = self.fpn.get_result_from_inner_blocks(backbone_levels[index], index)
            if top_down:
                merged = merged + F.interpolate(top_down[0], size=merged.shape[2:], mode="nearest")
            top_down.insert(0, merged)
        last = [self.fpn.get_result_from_layer_blocks(top_down[index], index) for index in range(1, 4)]
        return backbone_levels, [top_down[0], *last]

    @property
    def finest(self) -> nn.Conv2d:
        """The last convolution of P2."""
        return cast(nn.Conv2d, self.fpn.layer_blocks[0][0])

    def backbone_levels(self, images: Tensor) -> list[Tensor]:
        """[C2, C3, C4, C5] of normalised images (B, 3, H, W)."""
        return self.backbone(in_device_format(images))

    def top_down(self, backbone_levels: list[Tensor]) -> "OrderedDict[str, Tensor]":
        """The levels of `forward`, from [C2, C3, C4, C5]."""
        return self.fpn(OrderedDict((str(index), level) for index, level in enumerate(backbone_levels)))


def init_truncated_normal(module: nn.Module, std: float | None = None) -> None:
    """Initialise convolutions and linear layers from a truncated normal, their biases with 0.

    Args:
        std: standard deviation; None is He's for each layer (He et al., ICCV 2015).
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            scale = std or (2.0 / layer.weight[0].numel()) ** 0.5
            nn.init.trunc_normal_(layer.weight, std=scale, a=-2 * scale, b=2 * scale)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
