"""The whole network: encode a frame once, track its parts, correlate its pixels, propagate the parts' masks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.pyramid import Pyramid
from partprop.model.boxes import enlarge, roi_align, roi_align_all
from partprop.model.correlation import Past, PixelCorrelation
from partprop.model.evidence import Correlated
from partprop.model.features import STRIDE, Features
from partprop.model.part_tracker import PartTracker
from partprop.model.propagation import MaskDecoder, PartInputs, PartMasks, join_parts
from partprop.model.readout import Memory
from partprop.model.windows import Window, origin, whole_window

CONTEXT = 1.5  # side of the window in which a part's mask is decoded, over the side of its box
MASK_STRIDE = 2  # pixels per cell of the masks that training carries from frame to frame

RoiGroup = tuple[slice, int]
"""Parts that are decoded together, and their RoI size S in cells, a multiple of 4."""


@dataclass(frozen=True)
class PlacedParts:
    """P parts of B objects at their places in the current frame; part 0 is the whole object.

    Attributes:
        boxes, previous_boxes: (B, P, 4), xyxy in pixels, in the current and in the previous frame.
        guidance: (B, P, G, S, S), see `Network.guide`.
        similarity: (B, P) in [0, 1], to the template.
    """

    boxes: Tensor
    previous_boxes: Tensor
    guidance: Tensor
    similarity: Tensor


class FrameMasks(NamedTuple):
    """Result of `Network.decode` for B objects with P parts.

    Attributes:
        logits: (B, P, 1, 2S, 2S), masks of the parts in their windows.
        presence: (B, P), logits of the object being visible in a part's window.
        probability: (B, 1, ·, ·) in [0, 1], mask of the correlated window at the stride of the previous mask.
    """

    logits: Tensor
    presence: Tensor
    probability: Tensor


class FrameOutput(NamedTuple):
    """Result of `Network.forward` for one frame of B videos with P parts.

    Attributes:
        scores: (B, P, R, R), logits of the part tracker.
        correlation: (B, 3, h, w) in [0, 1], masks at stride 8, see `Evidence.masks`.
        masks: (B, P, 1, 2S, 2S), logits in the parts' windows.
        presence: (B, P), logits.
        joined: (B, 1, H/2, W/2), probability.
    """

    scores: Tensor
    correlation: Tensor
    masks: Tensor
    presence: Tensor
    joined: Tensor


class Network(nn.Module):
    """Parts as in FAVOS and reference-guided propagation as in RGMP on one feature pyramid.

    `correlate` and `decode` are the frame step. Training (`forward`) and inference (`tracking.one_object`) both call
    them; they differ only in their inputs.

    Args:
        pyramid: backbone and FPN.
        tracker: finds parts by cross-correlation with their templates.
        correlation: matches pixels with memory and previous frame.
        decoder: corrects the masks of parts.
    """

    def __init__(
        self, pyramid: Pyramid, tracker: PartTracker, correlation: PixelCorrelation, decoder: MaskDecoder
    ) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.tracker = tracker
        self.correlation = correlation
        self.decoder = decoder

    def encode(self, images: Tensor) -> Features:
        """Features of normalised images (B, 3, H, W), H and W multiples of 32: the one pass per frame."""
        backbone_levels, (p2, p3, p4, p5) = self.pyramid.levels(images)
        fine_keys, keys = self.correlation.keys(backbone_levels[:3], self.pyramid.finest, p2)
        detail, body, context = self.decoder.reduce_frame(self.pyramid.finest, p2, p3, p4)
        halved = F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)  # mean of 2 × 2 pixels
        return Features(halved, p3, p4, p5, detail, body, context, self.correlation.project_p3(p3), keys, fine_keys)

    def memorise(self, features: Features, mask: Tensor, window: Window | None = None) -> Memory:
        """Memory of a frame with a known mask (B, 1, ·, ·) in [0, 1] of any resolution.

        Args:
            window: of the stride-8 grid; None is the whole frame.
        """
        small = F.interpolate(mask, size=features.grid, mode="area")
        return self.correlation.memorise(features, small, window or whole_window(features.grid))

    def fit_filter(self, features: Features, mask: Tensor) -> Tensor:
        """Weights (B, D) of the correlation filter for a frame with mask (B, 1, ·, ·) in [0, 1]."""
        small = F.interpolate(mask, size=features.grid, mode="area")
        return self.correlation.filter.fit(features.keys, small)

    def guide(self, features: Features, mask: Tensor, boxes: Tensor) -> Tensor:
        """Guidance (B, P, G, S, S) of parts with boxes (B, P, 4) in a frame with mask (B, 1, H, W) in [0, 1]."""
        windows, size = enlarge(boxes, CONTEXT), self.decoder.roi_size
        crops = roi_align(features.p3, windows, size, STRIDE)
        masks = roi_align(mask, windows, size, 1)
        return self.decoder.guide(crops.flatten(0, 1), masks.flatten(0, 1)).unflatten(0, boxes.shape[:2])

    def correlate(self, current: Features, past: Past, window: Window, radius: int | None = None) -> Correlated:
        """First half of the frame step: correlate a window of the current frame with an object's past.

        Args:
            window: h rows and w columns of the stride-8 grid.
            radius: of the local read-out in cells, if it is not that of the correlation.
        """
        return self.correlation.correlate(current, past, window, radius)

    def decode(
        self, current: Features, correlated: Correlated, parts: PlacedParts, groups: Sequence[RoiGroup] | None = None
    ) -> FrameMasks:
        """Second half of the frame step: decode the parts' masks and join them.

        Args:
            current: features of the current frame.
            correlated: of a window that contains the parts' windows.
            groups: a partition of the parts with RoI sizes up to the decoder's; None decodes all at the decoder's.
        """
        stride = STRIDE * current.grid[0] // correlated.previous_mask.shape[2]
        evidence = self.prepare(correlated)
        decoded = [
            self._decode_parts(current, correlated, evidence, parts, group, stride)
            for group in groups or [(slice(None), self.decoder.roi_size)]
        ]
        masks = PartMasks(*(torch.cat(each, 1) for each in zip(*decoded, strict=True)))
        return FrameMasks(masks.logits, masks.presence, self._join(correlated, parts, masks, stride))

    def prepare(self, correlated: Correlated) -> Tensor:
        """Evidence as the decoder sees it before RoIAlign, (B, 32 + 9, h, w), the same for all parts.

        Distrusted matches are hidden from the decoder at inference only. Hiding them in training teaches it to trust
        everything, since the reference is never old in short clips.
        """
        evidence = correlated.evidence
        if not self.training:
            evidence = evidence.trusting(correlated.trust)
        return torch.cat([self.decoder.reduce_evidence_values(evidence.values), evidence.matches], 1)

    def _decode_parts(
        self,
        current: Features,
        correlated: Correlated,
        evidence: Tensor,
        parts: PlacedParts,
        group: RoiGroup,
        stride: int,
    ) -> PartMasks:
        """Masks (B, k, 1, 2S, 2S) of a group of k parts at the decoder's S, decoded at the group's."""
        chosen, size = group
        windows = enlarge(parts.boxes[:, chosen], CONTEXT)
        before = enlarge(parts.previous_boxes[:, chosen], CONTEXT)
        previous = roi_align(correlated.previous_mask, before, 2 * size, stride)
        of_window = [(evidence, STRIDE, size), (correlated.prior, STRIDE / 2, 2 * size)]
        of_frame = [
            (current.image, 2, 2 * size),
            (current.detail, STRIDE / 2, 2 * size),
            (current.body, STRIDE, size),
            (current.context, STRIDE * 2, size // 2),
        ]
        in_window = windows - _pixel_origin(correlated.window, windows)
        read, prior = (crops.flatten(0, 1) for crops in roi_align_all(of_window, in_window))
        image, detail, body, context = (crops.flatten(0, 1) for crops in roi_align_all(of_frame, windows))
        masks = self.decoder(
            PartInputs(
                image=image,
                detail=detail,
                body=body,
                context=context,
                values=read[:, : MaskDecoder.VALUES],
                matches=read[:, MaskDecoder.VALUES :],
                prior=prior,
                previous=previous.flatten(0, 1),
                guidance=_resized(parts.guidance[:, chosen].flatten(0, 1), size),
            )
        )
        side, shape = 2 * self.decoder.roi_size, windows.shape[:2]
        logits, corrections = (_resized(maps, side).unflatten(0, shape) for maps in (masks.logits, masks.corrections))
        return PartMasks(logits, corrections, masks.presence.unflatten(0, shape))

    def _join(self, correlated: Correlated, parts: PlacedParts, masks: PartMasks, stride: int) -> Tensor:
        """Probability (B, 1, ·, ·) in the correlated window; parts count by presence times similarity."""
        windows = enlarge(parts.boxes, CONTEXT)
        windows = windows - _pixel_origin(correlated.window, windows)
        reliability = parts.similarity * masks.presence.detach().sigmoid()
        factor = STRIDE // 2 // stride
        prior = F.interpolate(correlated.prior, scale_factor=factor, mode="bilinear", align_corners=False)[:, 0]
        joined = [
            join_parts(prior[index], masks.corrections[index], windows[index], reliability[index], stride)
            for index in range(len(prior))
        ]
        return torch.stack(joined)[:, None]

    def forward(
        self,
        images: Tensor,
        mask: Tensor,
        boxes: Tensor,
        last_boxes: Tensor,
        remembered: Tensor,
        disturb: Callable[[Tensor, int], Tensor] | None = None,
    ) -> list[FrameOutput]:
        """Propagate a reference mask through a clip, each frame from the mask predicted before.

        Args:
            images: (B, T, 3, H, W), normalised; frame 0 is the reference.
            mask: (B, 1, H, W) of frame 0, in [0, 1].
            boxes: (B, T, P, 4), where the parts' masks are decoded; part 0 is the whole object. The previous mask is
                cropped at the boxes of the frame before.
            last_boxes: (B, T, P, 4), around which the part tracker searches; those of frame 0 are not used.
            remembered: (B, T), 0 where the previous mask is blanked, as for an object that was lost; else 1.
            disturb: maps the previous mask (B, 1, H/2, W/2) and the number of the current frame to the mask that the
                frame starts from; for training.

        Returns:
            One output for each of the frames 1 … T - 1.
        """
        # frame-major, so that the frames of all videos at one time are contiguous
        reference, *later = self.encode(images.transpose(0, 1).flatten(0, 1)).split(len(images))
        memory, filter_weights = self.memorise(reference, mask), self.fit_filter(reference, mask)
        guidance = self.guide(reference, mask, boxes[:, 0])
        templates = self.tracker.embed(reference.tracking_levels, boxes[:, 0])
        similarity = boxes.new_ones(guidance.shape[:2])
        past, outputs = Past(memory, filter_weights, reference, F.avg_pool2d(mask, MASK_STRIDE)), []
        for time, current in enumerate(later, start=1):
            previous_mask = past.mask if disturb is None else disturb(past.mask, time)
            past = replace(past, mask=previous_mask * remembered[:, time, None, None, None])
            scores = self.tracker(current.tracking_levels, templates, last_boxes[:, time])
            correlated = self.correlate(current, past, whole_window(current.grid))
            parts = PlacedParts(boxes[:, time], boxes[:, time - 1], guidance, similarity)
            found = self.decode(current, correlated, parts)
            outputs.append(
                FrameOutput(scores, correlated.evidence.masks, found.logits, found.presence, found.probability)
            )
            # the mask that inference would carry on, errors included; gradients stop between frames
            past = replace(past, previous=current, mask=found.probability.detach())
        return outputs


class ReferenceOnlyNetwork(Network):
    """Ablation: the previous frame's mask is never used, so that the reference frame alone guides each frame."""

    def correlate(self, current: Features, past: Past, window: Window, radius: int | None = None) -> Correlated:
        """See `Network.correlate`."""
        return super().correlate(current, replace(past, mask=torch.zeros_like(past.mask), earlier=()), window, radius)


def _pixel_origin(window: Window, boxes: Tensor) -> Tensor:
    """Corner (4,) of a window of the stride-8 grid in pixels: x, y, x, y; dtype and device of boxes."""
    row, column = origin(window)
    return boxes.new_tensor([column, row, column, row]) * STRIDE


def _resized(maps: Tensor, size: int) -> Tensor:
    """Maps (N, C, ·, ·) at another resolution, antialiased."""
    if maps.shape[-1] == size:
        return maps
    return F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
