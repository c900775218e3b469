"""The whole network: encode a frame once, track its parts, correlate its pixels, propagate the parts' masks."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.pyramid import Pyramid, init_truncated_normal
from partprop.model.boxes import enlarge, roi_align, roi_align_all
from partprop.model.correlation import FineFrame, PixelCorrelation, bounded_log_odds
from partprop.model.correlation_filter import FILTER_REACH
from partprop.model.evidence import Correlated, Prepared, believed, lead, masks_of, split_readouts
from partprop.model.features import STRIDE, Features
from partprop.model.part_tracker import PartTracker
from partprop.model.propagation import MaskDecoder, PartInputs, join_parts
from partprop.model.readout import Memory
from partprop.model.windows import Window, cut, grown, scaled, within

CONTEXT = 1.5  # side of the window in which a part's mask is decoded, over that of its box
STRICTNESS = 0.1  # cosine by which the memory must be the more similar for the decoder, beyond what the prior asks
MASK_STRIDE = 2  # pixels per cell of the masks that training carries from frame to frame


class FrameOutput(NamedTuple):
    """What `Network.forward` predicts for a frame of B videos with P parts.

    scores: (B, P, R, R) logits of the part tracker. correlation: (B, 3, h, w) masks at stride 8, as of
    `evidence.masks_of`.
    masks: (B, P, 1, 2S, 2S) logits inside the enlarged boxes. presence: (B, P) logits. joined: (B, 1, H/2, W/2)
    probability.
    """

    scores: Tensor
    correlation: Tensor
    masks: Tensor
    presence: Tensor
    joined: Tensor


class Network(nn.Module):
    """FAVOS's parts and RGMP's reference-guided propagation on one feature pyramid.

    Args:
        pyramid: backbone and FPN.
        key_channels, value_channels, learnt_keys: of the pixel correlation.
        roi_size: S, side of the parts' RoIAlign; masks are decoded at 2S.
        training_roi_size: S while the network is trained; in use, finer masks pay.
        pixel_correlation: whether pixels are matched; without, the parts correct the previous mask where it was.
        correlation_filter: whether a filter is fitted to the reference; without, attention speaks for it, too.
        previous_frame: whether the frame before is looked at, by correlation and decoder, or the reference alone.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        key_channels: int,
        value_channels: int,
        roi_size: int,
        training_roi_size: int,
        learnt_keys: bool,
        pixel_correlation: bool,
        correlation_filter: bool,
        previous_frame: bool,
    ) -> None:
        super().__init__()
        channels = pyramid.out_channels
        self.pyramid = pyramid
        self.tracker = PartTracker(channels)
        self.correlation = PixelCorrelation(
            pyramid.base_channels[:3], channels, key_channels, value_channels, learnt_keys
        )
        self.decoder = MaskDecoder(channels, value_channels)
        self._roi_size, self._training_roi_size = roi_size, training_roi_size
        self.pixel_correlation = pixel_correlation
        self.correlation_filter = correlation_filter
        self.previous_frame = previous_frame
        init_truncated_normal(self.tracker)

    @property
    def roi_size(self) -> int:
        """S of the mode that the network is in."""
        return self._training_roi_size if self.training else self._roi_size

    def encode(self, images: Tensor) -> Features:
        """Features of normalised images (B, 3, H, W), H and W multiples of 32: the one pass per frame."""
        backbone_levels, (p2, p3, p4, p5) = self.pyramid.levels(images)
        fine_keys, keys = self.correlation.keys(backbone_levels[:3], self.pyramid.finest, p2)
        prepared = self.decoder.prepare_frame(self.pyramid.finest, p2, p3, p4)
        halved = F.interpolate(images, scale_factor=0.5, mode="bilinear", align_corners=False)  # the mean of each four
        return Features(halved, p3, p4, p5, *prepared, self.correlation.look(p3), keys, fine_keys)

    def memorise(self, features: Features, mask: Tensor, window: Window | None = None) -> Memory:
        """Memory of a frame whose mask (B, 1, H, W) in [0, 1], at any resolution, is known.

        Args:
            window: of the stride-8 grid, if not all of the frame is to be remembered.
        """
        height, width = features.keys.shape[2:]
        small = F.interpolate(mask, size=(height, width), mode="area")
        everywhere = (slice(0, height), slice(0, width))
        return self.correlation.memorise(features.look, features.keys, small, window or everywhere)

    def fit_filter(self, features: Features, mask: Tensor) -> Tensor | None:
        """Weights (B, D) of the correlation filter that tells object from ground in a frame with mask (B, 1, H, W).

        None where no filter is used.
        """
        if not (self.pixel_correlation and self.correlation_filter):
            return None
        small = F.interpolate(mask, size=features.keys.shape[2:], mode="area")
        return self.correlation.filter.fit(features.keys, small)

    def guide(self, features: Features, mask: Tensor, boxes: Tensor) -> Tensor:
        """Guidance (B, P, G, S, S) of parts with boxes (B, P, 4) in a frame with a mask (B, 1, H, W)."""
        windows = enlarge(boxes, CONTEXT)
        crops = roi_align(features.p3, windows, self.roi_size, STRIDE)
        masks = roi_align(mask, windows, self.roi_size, 1)
        return self.decoder.guide(crops.flatten(0, 1), masks.flatten(0, 1)).unflatten(0, boxes.shape[:2])

    def correlate(
        self,
        features: Features,
        reference: Memory,
        filter_weights: Tensor | None,
        before: Features,
        mask: Tensor,
        window: Window,
        earlier: Sequence[FineFrame] = (),
        radius: int | None = None,
    ) -> Correlated:
        """Read reference and previous frame for a window of the current frame.

        Args:
            features: of the current frame.
            reference: what is known of the first frame and of late.
            filter_weights: (B, D), of `fit_filter`.
            before: of the previous frame, of equal size; mask: (B, 1, ·, ·) its mask in [0, 1], at a stride that 8 is a
                multiple of.
            window: h rows and w columns of the stride-8 grid.
            earlier: frames before the previous one, whose contours are looked at, too.
            radius: reach of the local read-out in cells, if it is not that of the correlation.
        """
        if not self.previous_frame:
            mask, earlier = torch.zeros_like(mask), ()
        remembered = (mask.flatten(1).amax(1) > 0).to(mask.dtype)
        if not self.pixel_correlation:
            return self._stay(features, mask, window, remembered)
        correlation, grid = self.correlation, features.keys.shape[2:]
        radius = correlation.radius if radius is None else radius
        near = grown(window, radius, grid)  # values at its edge see zeros beyond it
        known = correlation.know(cut(before.look, near), _pooled(mask, near, grid))
        inner = within(window, near)
        offset = (inner[0].start, inner[1].start)
        read = correlation(cut(features.keys, window), reference, cut(before.keys, near), known, offset, radius)
        if filter_weights is None:
            found = read[:, correlation.value_channels, None]
        else:
            seen = grown(window, FILTER_REACH, grid)
            found = cut(correlation.filter(cut(features.keys, seen), filter_weights), within(window, seen))
        evidence = torch.cat([read, found], 1)

        fine = scaled(window, 2)
        frames = [before.seen_fine(mask), *earlier]
        origin = (fine[0].start, fine[1].start)
        masks, ahead = masks_of(evidence), lead(evidence)
        followed = correlation.read_fine(cut(features.fine_keys, fine), frames, origin, masks[:, 2:])
        prior = correlation.prior(masks, followed, correlation.trust(ahead, remembered), remembered)
        return Correlated(evidence, prior, correlation.trust(ahead - STRICTNESS, remembered))

    def _stay(self, features: Features, mask: Tensor, window: Window, remembered: Tensor) -> Correlated:
        """What `correlate` gives where pixels are not matched: no evidence, and the mask where it was."""
        keys = cut(features.keys, window)
        evidence = keys.new_zeros(len(keys), self.correlation.read_channels + 1, *keys.shape[2:])
        prior = bounded_log_odds(cut(features.seen_fine(mask).mask, scaled(window, 2)))
        return Correlated(evidence, prior * remembered[:, None, None, None], torch.ones_like(evidence[:, :1]))

    def support(self, evidence: Tensor, mask: Tensor) -> Tensor:
        """Share (B,) of a mask (B, 1, h, w) that memory and filter find, too, on average; 1 without correlation."""
        if not self.pixel_correlation:
            return mask.new_ones(len(mask))
        found = masks_of(evidence)[:, :2].mean(1, keepdim=True)
        return (mask * found).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1e-6)

    def prepare(self, correlated: Correlated) -> Prepared:
        """What the decoder sees of a window, the same for all parts in it.

        What the memory is not trusted with is only kept from the decoder when the network is in use: trained that way,
        it trusts the memory with everything, which is never old in short clips.
        """
        values, matches = split_readouts(correlated.evidence if self.training else believed(correlated))
        return Prepared(torch.cat([self.decoder.prepare_values(values), matches], 1), correlated.prior)

    def decode(
        self,
        features: Features,
        prepared: Prepared,
        offset: tuple[int, int],
        boxes: Tensor,
        previous: Tensor,
        guidance: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Masks of parts.

        Args:
            features: of the current frame.
            prepared: of a window whose origin is at row and column `offset` of the stride-8 grid.
            boxes: (B, P, 4) of the parts.
            previous: (B, P, 1, 2S, 2S), the previous mask in the parts' previous windows.
            guidance: (B, P, G, S, S); S may be any multiple of 4 here.

        Returns:
            Mask logits (B, P, 1, 2S, 2S) in the enlarged boxes; how they correct the prior; presence logits (B, P).
        """
        size = guidance.shape[-1]
        windows = enlarge(boxes, CONTEXT)
        shift = boxes.new_tensor([offset[1], offset[0], offset[1], offset[0]]) * STRIDE
        of_window = [(prepared.read, STRIDE, size), (prepared.prior, STRIDE / 2, 2 * size)]
        of_frame = [
            (features.image, 2, 2 * size),
            (features.detail, STRIDE / 2, 2 * size),
            (features.body, STRIDE, size),
            (features.context, STRIDE * 2, size // 2),
        ]
        read, prior = (crops.flatten(0, 1) for crops in roi_align_all(of_window, windows - shift))
        image, detail, body, context = (crops.flatten(0, 1) for crops in roi_align_all(of_frame, windows))
        inputs = PartInputs(
            image=image,
            detail=detail,
            features=body,
            context=context,
            values=read[:, : MaskDecoder.VALUES],
            matches=read[:, MaskDecoder.VALUES :],
            prior=prior,
            previous=previous.flatten(0, 1) if self.previous_frame else torch.zeros_like(previous.flatten(0, 1)),
            reference=guidance.flatten(0, 1),
        )
        corrections, presence = self.decoder(inputs)
        shape = boxes.shape[:2]
        masks = inputs.prior + corrections
        return masks.unflatten(0, shape), corrections.unflatten(0, shape), presence.unflatten(0, shape)

    def forward(
        self,
        images: Tensor,
        mask: Tensor,
        boxes: Tensor,
        last_boxes: Tensor,
        remembered: Tensor,
        disturb: Callable[[Tensor, int], Tensor] | None = None,
    ) -> list[FrameOutput]:
        """Propagate a reference mask through the frames after it, each from the mask predicted before.

        Args:
            images: (B, T, 3, H, W), frame 0 the reference.
            mask: (B, 1, H, W) of frame 0, in [0, 1].
            boxes: (B, T, P, 4) where the parts' masks are decoded, part 0 the whole object. A frame's decoder sees what
                the previous mask had in the previous frame's.
            last_boxes: (B, T, P, 4) around which the part tracker searches; frame 0's are not used.
            remembered: (B, T) 0 where the previous mask is blanked, as for an object that had been lost, else 1.
            disturb: maps the previous mask (B, 1, H/2, W/2) and the number of the frame that starts from it to the mask
                that it starts from; for training.

        Returns:
            One output for each of the frames 1 … T - 1.
        """
        batch = images.shape[0]
        # frame-major, so that each time's frames of all videos lie together
        reference, *later = self.encode(images.transpose(0, 1).flatten(0, 1)).split(batch)
        memory = self.memorise(reference, mask)
        filter_weights = self.fit_filter(reference, mask)
        guidance = self.guide(reference, mask, boxes[:, 0])
        templates = self.tracker.embed(reference.tracking_levels, boxes[:, 0])
        previous, previous_mask, outputs = reference, F.avg_pool2d(mask, MASK_STRIDE), []
        for time, current in enumerate(later, start=1):
            if disturb is not None:
                previous_mask = disturb(previous_mask, time)
            previous_mask = previous_mask * remembered[:, time, None, None, None]
            scores = self.tracker(current.tracking_levels, templates, last_boxes[:, time])
            grid = (current.keys.shape[2], current.keys.shape[3])
            window = (slice(0, grid[0]), slice(0, grid[1]))
            correlated = self.correlate(current, memory, filter_weights, previous, previous_mask, window)
            before = enlarge(boxes[:, time - 1], CONTEXT)
            crops = roi_align(previous_mask, before, 2 * self.roi_size, MASK_STRIDE)
            prepared = self.prepare(correlated)
            masks, corrections, presence = self.decode(current, prepared, (0, 0), boxes[:, time], crops, guidance)
            joined = self._join(correlated.prior, corrections, boxes[:, time], presence)
            found = masks_of(correlated.evidence)
            outputs.append(FrameOutput(scores, found, masks, presence, joined))
            # the mask that inference would carry on, errors included; gradients stop at the frame's border
            previous, previous_mask = current, joined.detach()
        return outputs

    def _join(self, prior: Tensor, corrections: Tensor, boxes: Tensor, presence: Tensor) -> Tensor:
        windows, reliability = enlarge(boxes, CONTEXT), presence.detach().sigmoid()
        prior = F.interpolate(prior, scale_factor=2, mode="bilinear", align_corners=False)[:, 0]
        joined = [
            join_parts(prior[index], corrections[index], windows[index], reliability[index], MASK_STRIDE)
            for index in range(len(prior))
        ]
        return torch.stack(joined)[:, None]


def _pooled(mask: Tensor, window: Window, grid: Sequence[int]) -> Tensor:
    """The window (B, 1, h, w) of what a mask (B, 1, n·H, n·W) is on average in each cell of an (H, W) grid."""
    per_cell = mask.shape[2] // grid[0]
    assert mask.shape[2:] == (per_cell * grid[0], per_cell * grid[1])
    size = [part.stop - part.start for part in window]
    return F.interpolate(cut(mask, scaled(window, per_cell)), size=size, mode="area")
