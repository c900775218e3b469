"""Pixel correlation: similarity of every pixel to the memory (globally) and to the previous frame (locally)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.devices import in_device_format
from partprop.model.backbone.keys import project, unit_keys
from partprop.model.backbone.pyramid import init_truncated_normal
from partprop.model.correlation_filter import AttentionFilter, CorrelationFilter
from partprop.model.evidence import Correlated, Evidence
from partprop.model.features import Features, FineFrame
from partprop.model.local_correlation import BLOCK, LocalCorrelation
from partprop.model.readout import MATCH_CHANNELS, Memory, ReadOut, object_cells, read
from partprop.model.windows import Window, cut, grown, origin, scaled, within

BLOCKS_AT_ONCE = 32  # blocks of the fine read-out at a time: all blocks of a large object would need much memory
VALUE_REACH = 2  # cells around a cell on which its value depends
BOUND = 0.02  # priors stay this far from 0 and 1
STRICTNESS = 0.1  # extra lead in cosine that the decoder asks of the memory before it trusts it


@dataclass(frozen=True)
class Past:
    """State of an object before the current frame, for B videos.

    Attributes:
        memory: pixels of the reference frame and of a recent frame.
        filter_weights: (B, D), see `CorrelationFilter.fit`.
        previous: features of the previous frame.
        mask: (B, 1, ·, ·) in [0, 1], the object in the previous frame at stride 1, 2 or 4; all zero if unknown.
        earlier: frames before the previous one whose contours are read as well.
    """

    memory: Memory
    filter_weights: Tensor
    previous: Features
    mask: Tensor
    earlier: Sequence[FineFrame] = ()

    @property
    def remembered(self) -> Tensor:
        """(B,), 1 where the previous mask is known, else 0."""
        return (self.mask.flatten(1).amax(1) > 0).to(self.mask.dtype)


class PixelCorrelation(nn.Module):
    """Embeds pixels as keys and values, and reads memory and previous frame with them.

    A key holds the backbone's C2, C3 and C4, whose cosines match pixels well before any training (label propagation
    shows it), projected to the key space as pre-training has learned.

    Args:
        base: projections of C2, C3 and C4, see `key_projections`.
        value: maps P3 and mask (B, C + 1, h, w) to values (B, V, h, w), see `value_encoder`.
        filter: finds the object with the same keys.
        radius: of the local read-out, in cells of stride 8.
        fine_radius: of the fine read-out, in cells of stride 4.
        training_fine_radius: the same in training, where objects are enlarged and clips may skip frames.
    """

    def __init__(
        self,
        base: nn.ModuleList,
        value: nn.Sequential,
        filter: CorrelationFilter | AttentionFilter,
        radius: int = 12,
        fine_radius: int = 12,
        training_fine_radius: int = 16,
    ) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.register_module("learnt", None)  # of learned keys; the order of parameters decides rounding in training
        self.value = value
        self.prior_weights = nn.Parameter(torch.tensor([0.5, 0.3, 0.3, 0.8]))  # global, filter, local, fine
        self.log_temperature = nn.Parameter(torch.tensor([3.7, 3.7]))  # inverse, e^3.7 ≈ 40; global, local
        self.log_trust_scale = nn.Parameter(torch.tensor(3.7))  # e^3.7 ≈ 40, of the lead in cosine
        self.trust_margin = nn.Parameter(torch.tensor(0.05))  # cosine by which the memory may be less similar
        self.filter = filter
        self.radius = radius
        self.fine_radius = fine_radius
        self.training_fine_radius = training_fine_radius
        init_truncated_normal(self.value)

    def keys(self, levels: list[Tensor], finest: nn.Module, p2: Tensor) -> tuple[Tensor, Tensor]:
        """Unit keys at stride 4, (B, K, h, w), and at stride 8, (B, K, h/2, w/2).

        Args:
            levels: C2, C3, C4 of the backbone.
            finest: last convolution of P2; p2: its input, see `Pyramid.levels`. Fixed keys use only the size of p2.
        """
        # without the detach, the backbone would learn through fixed keys
        return unit_keys(project(self.base, [level.detach() for level in levels], p2.shape[2:]))

    def project_p3(self, p3: Tensor) -> Tensor:
        """The object-independent part of a frame's values, (B, C, h, w), from P3: most of their cost."""
        first = cast(nn.Conv2d, self.value[0])
        return F.conv2d(p3, in_device_format(first.weight[:, :-1]), first.bias, padding=1)

    def encode_value(self, p3_projection: Tensor, mask: Tensor) -> Tensor:
        """Values and mask (B, V + 1, h, w) of a frame, or of a window, with a known mask.

        Args:
            p3_projection: (B, C, h, w), see `project_p3`.
            mask: (B, 1, h, w) at stride 8, in [0, 1].
        """
        first = cast(nn.Conv2d, self.value[0])
        hidden = p3_projection + F.conv2d(mask, in_device_format(first.weight[:, -1:]), padding=1)
        return torch.cat([self.value[1:](hidden), mask], 1)

    def memorise(self, features: Features, mask: Tensor, window: Window) -> Memory:
        """Memory of a window of a frame with a mask (B, 1, h, w) at stride 8."""
        context = grown(window, VALUE_REACH, mask.shape[2:])
        values = self.encode_value(cut(features.p3_projection, context), cut(mask, context))
        values = cut(values, within(window, context)).flatten(2)[:, :-1]
        is_object = cut(object_cells(mask, (1, 2, 3)), window).flatten(1)
        return Memory(cut(features.keys, window).flatten(2), values, cut(mask, window).flatten(1), is_object)

    def correlate(self, current: Features, past: Past, window: Window, radius: int | None = None) -> Correlated:
        """Correlate a window of the current frame with an object's past.

        Args:
            window: h rows and w columns of the stride-8 grid.
            radius: of the local read-out in cells, if it is not the module's.
        """
        remembered = past.remembered
        evidence = self._evidence(current, past, window, self.radius if radius is None else radius)
        fine = scaled(window, 2)
        frames = [past.previous.fine_frame(past.mask), *past.earlier]
        masks, lead = evidence.masks, evidence.lead
        followed = self.read_fine(cut(current.fine_keys, fine), frames, origin(fine), masks[:, 2:])
        prior = self.prior(masks, followed, self.trust(lead, remembered), remembered)
        return Correlated(evidence, prior, self.trust(lead - STRICTNESS, remembered), window, past.mask)

    def _evidence(self, current: Features, past: Past, window: Window, radius: int) -> Evidence:
        near = grown(window, radius, current.grid)  # values at its edge see zeros beyond it
        values = self.encode_value(
            cut(past.previous.p3_projection, near), _pooled_to_cells(past.mask, near, current.grid)
        )
        keys, previous_keys = cut(current.keys, window), cut(past.previous.keys, near)
        globally, locally = self.read(keys, past.memory, previous_keys, values, origin(within(window, near)), radius)
        return Evidence(globally, locally, self.filter.find(current.keys, window, past.filter_weights, globally))

    def read(
        self,
        keys: Tensor,
        memory: Memory,
        previous_keys: Tensor,
        previous_values: Tensor,
        offset: tuple[int, int],
        radius: int,
    ) -> tuple[ReadOut, ReadOut]:
        """Read the memory globally and the previous frame locally.

        Args:
            keys: (B, K, h, w) of a window of the current frame.
            previous_keys: (B, K, H, W) of the previous frame, or of a window of it.
            previous_values: (B, V + 1, H, W) values and mask there, see `encode_value`.
            offset: row and column of the window's origin in the previous frame's grid.
            radius: of the local read-out, in cells.
        """
        temperature = self.log_temperature.exp()
        globally = read(memory, keys, temperature[0])
        return globally, LocalCorrelation(keys, previous_keys, offset, radius, temperature[1]).read(previous_values)

    @torch.no_grad()
    def read_fine(self, keys: Tensor, frames: Sequence[FineFrame], offset: tuple[int, int], coarse: Tensor) -> Tensor:
        """Read the masks of past frames at stride 4, where the mask at stride 8 is in doubt: (B, 1, h, w).

        That is a third of the blocks in most videos; elsewhere the coarse mask stays. Nothing learns through it: the
        same temperature learns at stride 8, in a fraction of the time.

        Args:
            keys: (B, K, h, w) of a window at stride 4.
            offset: row and column of its origin.
            coarse: (B, 1, h/2, w/2), the mask read locally at stride 8.
        """
        unsure = ((coarse > BOUND) & (coarse < 1 - BOUND)).to(coarse.dtype)
        chosen = F.max_pool2d(unsure, BLOCK // 2, ceil_mode=True) > 0
        read_here = F.interpolate(chosen.to(coarse.dtype), scale_factor=BLOCK)[..., : keys.shape[2], : keys.shape[3]]
        temperature, mask = self.log_temperature[1].exp(), torch.zeros_like(read_here)
        reach = self.training_fine_radius if self.training else self.fine_radius
        for group in _groups(chosen[:, 0]):
            correlations = [
                (LocalCorrelation(keys, frame.keys, offset, reach, temperature, group), frame.mask) for frame in frames
            ]
            mask = mask + LocalCorrelation.attend_jointly(correlations)
        return torch.where(read_here > 0, mask, F.interpolate(coarse, scale_factor=2))

    def prior(self, masks: Tensor, fine: Tensor, trust: Tensor, remembered: Tensor) -> Tensor:
        """Weighted log-odds of all masks found: the prior (B, 1, 2h, 2w), logits.

        Weight that memory and filter lose goes to the previous frame in equal parts, and the other way round. Without a
        previous mask, memory and filter have all the weight.

        Args:
            masks: (B, 3, h, w), see `Evidence.masks`.
            fine: (B, 1, 2h, 2w), see `read_fine`.
            trust: (B, 1, h, w) in memory and filter.
            remembered: (B,), 1 where the previous mask is known, else 0.
        """
        coarse = torch.cat([masks, trust], 1)
        *doubled, trust = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False).split(1, 1)
        remembered = remembered[:, None, None, None]
        lasting, recent = (part[None, :, None, None] for part in self.prior_weights.split(2))
        given_up, missing = (lasting * (1 - trust)).sum(1, keepdim=True), recent.sum() * (1 - remembered)
        weights = torch.cat([lasting * trust + missing / 2, (recent + given_up / 2) * remembered], 1)
        return (weights * bounded_log_odds(torch.cat([*doubled, fine], 1))).sum(1, keepdim=True)

    def trust(self, lead: Tensor, remembered: Tensor) -> Tensor:
        """Trust in memory and filter, (B, 1, h, w) in [0, 1].

        They show the object as it was. A pixel that resembles the previous frame much more than the memory, such as one
        that has just turned into view, trusts them less.

        Args:
            lead: (B, 1, h, w), see `Evidence.lead`.
            remembered: (B,), 1 where the previous mask is known; else 0, and the memory is trusted.
        """
        doubt = ((lead + self.trust_margin) * -self.log_trust_scale.exp()).sigmoid()
        return 1 - remembered[:, None, None, None] * doubt

    def support(self, evidence: Evidence, mask: Tensor) -> Tensor:
        """Share (B,) of a mask (B, 1, h, w) that memory and filter confirm, their mean."""
        confirmed = evidence.masks[:, :2].mean(1, keepdim=True)
        return (mask * confirmed).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1e-6)

    def locate(self, current: Features, memory: Memory) -> Tensor | None:
        """Mask (B, 1, H, W) of the whole frame at stride 8 as the memory alone finds it."""
        return read(memory, current.keys, self.log_temperature.exp()[0]).mask


class LearnedKeyCorrelation(PixelCorrelation):
    """Pixel correlation whose keys learn, by their projections and by a projection of P2 that is added.

    On few videos such keys overfit: to them, a side of the object that the reference does not show is background.

    Args:
        learnt: projection of P2 (B, C, h, w) to keys (B, K, h, w).
        others: see `PixelCorrelation`.
    """

    def __init__(
        self,
        base: nn.ModuleList,
        learnt: nn.Conv2d,
        value: nn.Sequential,
        filter: CorrelationFilter | AttentionFilter,
    ) -> None:
        init_truncated_normal(learnt, std=0.001)
        super().__init__(base, value, filter)
        self.learnt = learnt
        self.base.requires_grad_(True)

    def keys(self, levels: list[Tensor], finest: nn.Module, p2: Tensor) -> tuple[Tensor, Tensor]:
        """See `PixelCorrelation.keys`."""
        return unit_keys(project(self.base, levels, p2.shape[2:]) + self.learnt(finest(p2)))


class StationaryPrior(PixelCorrelation):
    """Ablation: no pixel correlation. The previous mask stays where it was, and there is no other evidence."""

    def correlate(self, current: Features, past: Past, window: Window, radius: int | None = None) -> Correlated:
        """See `PixelCorrelation.correlate`."""
        remembered = past.remembered[:, None, None, None]
        prior = bounded_log_odds(cut(current.fine_frame(past.mask).mask, scaled(window, 2)))
        keys, values = cut(current.keys, window), cast(nn.Conv2d, self.value[-1]).out_channels
        nothing = ReadOut.of(keys.new_zeros(len(keys), values + MATCH_CHANNELS, *keys.shape[2:]))
        evidence = Evidence(nothing, nothing, nothing.mask)
        return Correlated(evidence, prior * remembered, torch.ones_like(nothing.mask), window, past.mask)

    def support(self, evidence: Evidence, mask: Tensor) -> Tensor:
        """All of the mask: (B,) ones."""
        return mask.new_ones(len(mask))

    def locate(self, current: Features, memory: Memory) -> Tensor | None:
        """None: without correlation a lost object is searched for only where it was last."""
        return None


def value_encoder(channels: int, value_channels: int) -> nn.Sequential:
    """From P3 and a mask (B, C + 1, h, w) to values (B, V, h, w)."""
    return nn.Sequential(
        nn.Conv2d(channels + 1, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, value_channels, 3, padding=1),
    )


def bounded_log_odds(masks: Tensor) -> Tensor:
    """Log-odds of masks in [0, 1], bounded so that no mask is certain."""
    return masks.clamp(BOUND, 1 - BOUND).logit()


def _pooled_to_cells(mask: Tensor, window: Window, grid: Sequence[int]) -> Tensor:
    """Mean of a mask (B, 1, n·H, n·W) in each cell of a window (h, w) of an (H, W) grid: (B, 1, h, w)."""
    per_cell = mask.shape[2] // grid[0]
    assert mask.shape[2:] == (per_cell * grid[0], per_cell * grid[1])
    size = [part.stop - part.start for part in window]
    return F.interpolate(cut(mask, scaled(window, per_cell)), size=size, mode="area")


def _groups(chosen: Tensor) -> Iterator[Tensor | None]:
    """The chosen blocks (B, rows, columns), BLOCKS_AT_ONCE at a time; in an exported graph None, all blocks.

    An exported graph cannot depend on its data.
    """
    if torch.compiler.is_exporting():
        yield None
        return
    for places in chosen.nonzero().split(BLOCKS_AT_ONCE):
        group = torch.zeros_like(chosen)
        group[tuple(places.T)] = True
        yield group
