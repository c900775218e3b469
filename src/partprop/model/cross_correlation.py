"""Depth-wise cross-correlation of a template with a search window."""

import torch.nn.functional as F
from torch import Tensor


def depthwise_cross_correlation(template: Tensor, search: Tensor) -> Tensor:
    """Slide each template over its own search window, channel by channel (SiamRPN++, Li et al., CVPR 2019, 3.4).

    Args:
        template: (N, C, h, w).
        search: (N, C, H, W), H ≥ h and W ≥ w.

    Returns:
        Mean of the products, (N, C, H - h + 1, W - w + 1). A mean keeps the scale independent of the template's size.
    """
    count, channels, height, width = template.shape
    kernel = template.reshape(count * channels, 1, height, width)
    windows = search.reshape(1, count * channels, *search.shape[2:])
    response = F.conv2d(windows, kernel, groups=count * channels) / (height * width)
    return response.view(count, channels, *response.shape[2:])
