"""The part tracker: finds each template in its search window of the current frame, with a score."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.boxes import enlarge, from_centre_size, roi_align_all, to_centre_size
from partprop.model.cross_correlation import depthwise_cross_correlation

STRIDES = (8, 16, 32)  # of P3, P4, P5
TEMPLATE = 8  # cells of a template's side
WINDOW = 3  # side of the search window over that of the part's last box
RESPONSE = TEMPLATE * (WINDOW - 1) + 1
UPSAMPLING = 8  # of the response, before its peak is located


class PartTracker(nn.Module):
    """Search of SiamFC (Bertinetto et al., ECCVW 2016) with the depth-wise correlation of SiamRPN++ (CVPR 2019).

    Args:
        channels: of the pyramid.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.template = nn.Conv2d(channels, channels, 3, padding=1)
        self.search = nn.Conv2d(channels, channels, 3, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.GroupNorm(8, channels), nn.ReLU(), nn.Conv2d(channels, 1, 1)
        )

    def embed(self, levels: list[Tensor], boxes: Tensor) -> Tensor:
        """Templates (B, K, C, 8, 8) of parts with boxes (B, K, 4), cropped by RoIAlign.

        Args:
            levels: P3, P4, P5 of the reference frames, (B, C, ·, ·).
        """
        crops = _align_on_levels(levels, boxes, boxes, TEMPLATE)
        return self.template(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def forward(self, levels: list[Tensor], templates: Tensor, last: Tensor) -> Tensor:
        """Correlate templates with search windows around the parts' last boxes.

        Args:
            levels: P3, P4, P5 of the current frames, (B, C, ·, ·).
            templates: (B, K, C, 8, 8).
            last: (B, K, 4), the parts' boxes in the previous frame.

        Returns:
            Score logits (B, K, R, R) at each of the R·R = 17·17 positions of the template.
        """
        windows = _align_on_levels(levels, enlarge(last, WINDOW), last, TEMPLATE * WINDOW)
        shape = windows.shape[:2]
        response = depthwise_cross_correlation(templates.flatten(0, 1), self.search(windows.flatten(0, 1)))
        return self.head(response)[:, 0].unflatten(0, shape)


def response_centres(last: Tensor) -> Tensor:
    """Centres (…, R, R, 2), x and y in pixels, of the template at each position of the response.

    Args:
        last: boxes (…, 4) in the previous frame.
    """
    centre, size = to_centre_size(last)
    steps = (torch.arange(RESPONSE, device=last.device, dtype=last.dtype) - RESPONSE // 2) / TEMPLATE
    shift = torch.stack([steps[None, :].expand(RESPONSE, -1), steps[:, None].expand(-1, RESPONSE)], -1)
    return centre[..., None, None, :] + shift * size[..., None, None, :]


def best_boxes(scores: Tensor, last: Tensor, window_weight: float = 0.3) -> tuple[Tensor, Tensor]:
    """Move last boxes (B, K, 4) to the peak of the response; also its score (B, K) in [0, 1].

    The response is upsampled to find its peak between positions, and a cosine window favours small motion (SiamFC,
    sections 4.1 and 2.4); the score is that of the response alone.

    Args:
        window_weight: of the cosine window, in [0, 1].
    """
    side = UPSAMPLING * (RESPONSE - 1) + 1
    fine = F.interpolate(scores, size=(side, side), mode="bicubic", align_corners=True)
    hann = torch.hann_window(side + 2, periodic=False, device=scores.device, dtype=scores.dtype)[1:-1]
    probability = fine.sigmoid()
    ranked = (1 - window_weight) * probability + window_weight * hann[:, None] * hann[None]
    index = ranked.flatten(2).argmax(2)
    steps = torch.stack([index % side, index // side], -1) / UPSAMPLING - RESPONSE // 2
    centre, size = to_centre_size(last)
    best = from_centre_size(centre + steps / TEMPLATE * size, size)
    return best, probability.flatten(2).gather(2, index[..., None])[..., 0]


def _align_on_levels(levels: list[Tensor], boxes: Tensor, parts: Tensor, size: int) -> Tensor:
    """RoIAlign of boxes, at least one, each on the level (P3, P4, P5) whose stride is nearest to the template's."""
    spacing = to_centre_size(parts)[1].clamp(min=1).prod(-1).sqrt() / TEMPLATE
    choice = (spacing / STRIDES[0]).log2().round().clamp(0, len(levels) - 1).long()
    assert len(levels) == len(STRIDES)
    used = range(len(levels)) if _aligns_on_all_levels() else sorted(set(choice.flatten().tolist()))
    aligned = roi_align_all([(levels[level], STRIDES[level], size) for level in used], boxes)
    weights = [(choice == level)[..., None, None, None] for level in used]
    return sum(weight * crop for weight, crop in zip(weights, aligned, strict=True))  # type: ignore[return-value]


def _aligns_on_all_levels() -> bool:
    """Whether levels without a box are aligned as well.

    Their gradients are then zero instead of missing, and an exported graph does not depend on its data.
    """
    return torch.is_grad_enabled() or torch.compiler.is_exporting()
