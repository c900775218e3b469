"""The part tracker: where is the template's part in a window of the current frame, and how sure is that?"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.boxes import enlarge, from_centre_size, roi_align, to_centre_size
from partprop.model.correlation import depthwise_cross_correlation

TEMPLATE = 8  # cells of a template's side
WINDOW = 3  # side of the search window over that of the part's last box
RESPONSE = TEMPLATE * (WINDOW - 1) + 1


class PartTracker(nn.Module):
    """SiamFC's search (Bertinetto et al., ECCVW 2016) with SiamRPN++'s depth-wise correlation and box regression.

    Args:
        channels: of the pyramid.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.template = nn.Conv2d(channels, channels, 3, padding=1)
        self.search = nn.Conv2d(channels, channels, 3, padding=1)
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, 1), nn.GroupNorm(8, channels), nn.ReLU(), nn.Conv2d(channels, 5, 1)
        )

    def embed(self, levels: list[Tensor], boxes: Tensor) -> Tensor:
        """Templates (B, K, C, 8, 8) of parts with boxes (B, K, 4) in frames with levels P3, P4, P5."""
        crops = _align_on_levels(levels, boxes, boxes, TEMPLATE)
        return self.template(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])

    def forward(self, levels: list[Tensor], templates: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """Correlate templates with windows around the parts' last boxes.

        Args:
            levels: P3, P4, P5 of the current frames, (B, C, ·, ·).
            templates: (B, K, C, 8, 8).
            last: (B, K, 4), the parts' boxes in the previous frame.

        Returns:
            Score logits (B, K, R, R) and box offsets (B, K, R, R, 4): centre shift and log size ratio, in units of the
            last box, at each of the R·R = 17·17 places of the template.
        """
        windows = _align_on_levels(levels, enlarge(last, WINDOW), last, TEMPLATE * WINDOW)
        shape = windows.shape[:2]
        response = depthwise_cross_correlation(templates.flatten(0, 1), self.search(windows.flatten(0, 1)))
        output = self.head(response)
        scores, offsets = output[:, 0], output[:, 1:].permute(0, 2, 3, 1)
        return scores.unflatten(0, shape), offsets.unflatten(0, shape)


def places(last: Tensor) -> Tensor:
    """Centres (…, R, R, 2) in pixels of the template at each place of the response for last boxes (…, 4)."""
    centre, size = to_centre_size(last)
    steps = (torch.arange(RESPONSE, device=last.device, dtype=last.dtype) - RESPONSE // 2) / TEMPLATE
    shift = torch.stack([steps[None, :].expand(RESPONSE, -1), steps[:, None].expand(-1, RESPONSE)], -1)
    return centre[..., None, None, :] + shift * size[..., None, None, :]


def decode_boxes(offsets: Tensor, last: Tensor) -> Tensor:
    """Boxes (…, R, R, 4) from offsets (…, R, R, 4) and last boxes (…, 4)."""
    _, size = to_centre_size(last)
    size = size[..., None, None, :]
    return from_centre_size(places(last) + offsets[..., :2] * size, size * offsets[..., 2:].clamp(-1, 1).exp())


def encode_boxes(boxes: Tensor, last: Tensor) -> Tensor:
    """The offsets that `decode_boxes` maps to boxes (…, 4), at each place: (…, R, R, 4)."""
    centre, size = to_centre_size(boxes)
    _, last_size = to_centre_size(last)
    shift = (centre[..., None, None, :] - places(last)) / last_size[..., None, None, :]
    ratio = (size.clamp(min=1) / last_size.clamp(min=1)).log()
    return torch.cat([shift, ratio[..., None, None, :].expand_as(shift)], -1)


def best_boxes(scores: Tensor, offsets: Tensor, last: Tensor, window_weight: float = 0.3) -> tuple[Tensor, Tensor]:
    """The most likely box (B, K, 4) of each part and its score (B, K) in [0, 1].

    A cosine window favours small motion, as in SiamFC (section 3.1); the score is that of the response alone.
    """
    hann = torch.hann_window(RESPONSE + 2, periodic=False, device=scores.device, dtype=scores.dtype)[1:-1]
    probability = scores.sigmoid()
    ranked = (1 - window_weight) * probability + window_weight * hann[:, None] * hann[None]
    index = ranked.flatten(2).argmax(2)
    boxes = decode_boxes(offsets, last).flatten(2, 3)
    best = boxes.gather(2, index[..., None, None].expand(-1, -1, 1, 4))[:, :, 0]
    return best, probability.flatten(2).gather(2, index[..., None])[..., 0]


def _align_on_levels(levels: list[Tensor], boxes: Tensor, parts: Tensor, size: int) -> Tensor:
    """RoIAlign of each box on the level (P3, P4, P5) whose stride is nearest to the part's template spacing."""
    spacing = to_centre_size(parts)[1].clamp(min=1).prod(-1).sqrt() / TEMPLATE
    choice = (spacing / 8).log2().round().clamp(0, len(levels) - 1)
    aligned = [roi_align(level, boxes, size, stride) for level, stride in zip(levels, (8, 16, 32), strict=True)]
    weight = F.one_hot(choice.long(), len(levels)).to(boxes.dtype)[..., None, None, None]
    return sum(weight[:, :, index] * crop for index, crop in enumerate(aligned))  # type: ignore[return-value]
