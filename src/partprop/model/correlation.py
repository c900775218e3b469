"""Similarity by correlation: depth-wise between a part and a window, pixel by pixel between frames."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from partprop.model.backbone.devices import laid_out
from partprop.model.backbone.pyramid import init_truncated_normal
from partprop.model.correlation_filter import CorrelationFilter
from partprop.model.readout import READOUT_EXTRA, Memory, object_cells, read
from partprop.model.surroundings import BLOCK, Surroundings
from partprop.model.windows import Window, cut, grown, within

KEY_SHARES = (3 / 16, 5 / 16, 1 / 2)  # of the key channels, for C2, C3 and C4
AT_ONCE = 32  # blocks of the fine read-out: all of a large object would need much memory
VALUE_REACH = 2  # cells around it that a value depends on
BOUND = 0.02  # masks are believed to be object or background no more surely than this


def depthwise_cross_correlation(template: Tensor, search: Tensor) -> Tensor:
    """Slide each template over its own search window, channel by channel (SiamRPN++, Li et al., CVPR 2019, 3.4).

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


class FineFrame(NamedTuple):
    """A frame of late at stride 4: unit keys (B, C, H, W) and mask (B, 1, H, W) in [0, 1]."""

    keys: Tensor
    mask: Tensor


def bounded_log_odds(masks: Tensor) -> Tensor:
    """Log-odds of masks in [0, 1], bounded so that no mask is ever believed for certain."""
    return masks.clamp(BOUND, 1 - BOUND).logit()


class PixelCorrelation(nn.Module):
    """Embeds pixels as keys and values; reads a reference memory globally and the previous frame locally.

    Its `filter` finds the object by the same keys.

    A key is the backbone's C2, C3 and C4, whose cosines together match pixels well before any training (as label
    propagation shows), turned into the key space by projections that start orthogonal. They either stay as they are or
    learn, and with them a projection of P2 that is added. Keys that learn few videos by heart match others worse: to
    them, a side of the object that the reference does not show is ground.

    Args:
        base_channels: of C2, C3 and C4.
        channels: of the pyramid.
        key_channels, value_channels: of keys and values.
        learnt_keys: whether keys learn.
        radius: reach of the local read-out, in cells of stride 8.
        fine_radius: reach of the fine read-out, in cells of stride 4.
        training_fine_radius: the same in training, where objects are enlarged, and clips may skip frames.
    """

    def __init__(
        self,
        base_channels: list[int],
        channels: int,
        key_channels: int,
        value_channels: int,
        learnt_keys: bool = True,
        radius: int = 12,
        fine_radius: int = 12,
        training_fine_radius: int = 16,
    ) -> None:
        super().__init__()
        widths = [round(share * key_channels) for share in KEY_SHARES]
        self.base = nn.ModuleList(_rotation(level, width) for level, width in zip(base_channels, widths, strict=True))
        self.learnt = nn.Conv2d(channels, key_channels, 1) if learnt_keys else None
        self.value = nn.Sequential(
            nn.Conv2d(channels + 1, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, value_channels, 3, padding=1),
        )
        self.prior_weights = nn.Parameter(torch.tensor([0.5, 0.3, 0.3, 0.8]))  # global, filter, local, fine
        self.log_temperature = nn.Parameter(torch.tensor([3.7, 3.7]))  # e^3.7 ≈ 40, global and local
        self.log_trust_scale = nn.Parameter(torch.tensor(3.7))  # e^3.7 ≈ 40, of the lead in similarity
        self.trust_margin = nn.Parameter(torch.tensor(0.05))  # cosine by which the reference may be less similar
        self.value_channels = value_channels
        self.read_channels = 2 * (value_channels + READOUT_EXTRA)
        self.filter = CorrelationFilter()
        self.radius = radius
        self.fine_radius = fine_radius
        self.training_fine_radius = training_fine_radius
        if self.learnt is None:
            self.base.requires_grad_(False)
        else:
            init_truncated_normal(self.learnt, std=0.001)
        init_truncated_normal(self.value)

    def keys(self, levels: list[Tensor], finest: nn.Module, p2: Tensor) -> tuple[Tensor, Tensor]:
        """Unit keys (B, K, h, w) at stride 4 and (B, K, h/2, w/2) at stride 8 of [C2, C3, C4] and P2.

        P2 is without its last convolution `finest`, as of `Pyramid.levels`.
        """
        if self.learnt is None:
            levels = [level.detach() for level in levels]  # nor does the backbone learn through them
        size = p2.shape[2:]
        projected = [project(F.normalize(level, dim=1)) for project, level in zip(self.base, levels, strict=True)]
        resized = [F.interpolate(level, size=size, mode="bilinear", align_corners=False) for level in projected]
        keys = torch.cat(resized, 1)
        keys = F.normalize(keys if self.learnt is None else keys + self.learnt(finest(p2)), dim=1)
        return keys, F.normalize(F.avg_pool2d(keys, 2), dim=1)

    @torch.no_grad()
    def read_fine(self, keys: Tensor, frames: Sequence[FineFrame], offset: tuple[int, int], coarse: Tensor) -> Tensor:
        """The masks of the last frames, at stride 4, as keys (B, K, h, w) of a window find them: (B, 1, h, w).

        Only blocks of cells are looked at where the mask `coarse` (B, 1, h/2, w/2) that stride 8 finds is in doubt, a
        third of them in most videos; elsewhere it stays.

        Nothing is learnt through it: the same temperature learns at stride 8, for a small part of the time.
        """
        unsure = ((coarse > BOUND) & (coarse < 1 - BOUND)).to(coarse.dtype)
        chosen = F.max_pool2d(unsure, BLOCK // 2, ceil_mode=True) > 0
        looked_at = F.interpolate(chosen.to(coarse.dtype), scale_factor=BLOCK)[..., : keys.shape[2], : keys.shape[3]]
        temperature, read = self.log_temperature[1].exp(), torch.zeros_like(looked_at)
        reach = self.training_fine_radius if self.training else self.fine_radius
        for group in _groups(chosen[:, 0]):
            around = [
                (Surroundings(keys, frame.keys, offset, reach, temperature, group), frame.mask) for frame in frames
            ]
            read = read + Surroundings.attend_together(around)
        return torch.where(looked_at > 0, read, F.interpolate(coarse, scale_factor=2))

    def prior(self, masks: Tensor, fine: Tensor, trust: Tensor, remembered: Tensor) -> Tensor:
        """Weighted log-odds of the masks that are known: the prior (B, 1, 2h, 2w), logits.

        What memory and filter give up of their weight goes to the previous frame, in equal parts, and the other way
        round. Where nothing is remembered of the previous frame, they speak for all.

        Args:
            masks: (B, 3, h, w), as of `evidence.masks_of`. fine: (B, 1, 2h, 2w), the previous mask as of `read_fine`.
            trust: (B, 1, h, w), in memory and filter. remembered: (B,), 0 where no previous frame is known, else 1.
        """
        coarse = torch.cat([masks, trust], 1)
        *doubled, trust = F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False).split(1, 1)
        remembered = remembered[:, None, None, None]
        lasting, recent = (part[None, :, None, None] for part in self.prior_weights.split(2))
        given_up, missing = (lasting * (1 - trust)).sum(1, keepdim=True), recent.sum() * (1 - remembered)
        weights = torch.cat([lasting * trust + missing / 2, (recent + given_up / 2) * remembered], 1)
        return (weights * bounded_log_odds(torch.cat([*doubled, fine], 1))).sum(1, keepdim=True)

    def trust(self, lead: Tensor, remembered: Tensor) -> Tensor:
        """Trust in [0, 1] in what memory and filter say, (B, 1, h, w).

        They know the object as it was: where a pixel resembles the previous frame much more than the memory, as one
        that has just turned into view, they are trusted less.

        Args:
            lead: (B, 1, h, w), by how much a pixel's best cosine with the memory exceeds that with the previous frame.
            remembered: (B,), 0 where nothing is known of the previous frame and the memory is all there is, else 1.
        """
        doubt = ((lead + self.trust_margin) * -self.log_trust_scale.exp()).sigmoid()
        return 1 - remembered[:, None, None, None] * doubt

    def look(self, p3: Tensor) -> Tensor:
        """The share of a frame's values that is the same for all objects, (B, C, h, w), from P3: most of their cost."""
        first = cast(nn.Conv2d, self.value[0])
        return F.conv2d(p3, laid_out(first.weight[:, :-1]), first.bias, padding=1)

    def know(self, look: Tensor, mask: Tensor) -> Tensor:
        """Values and mask (B, V + 1, h, w) of a frame, or a window, whose mask (B, 1, h, w) at stride 8 is known.

        Args:
            look: (B, C, h, w), as of `look`.
        """
        first = cast(nn.Conv2d, self.value[0])
        hidden = look + F.conv2d(mask, laid_out(first.weight[:, -1:]), padding=1)
        return torch.cat([self.value[1:](hidden), mask], 1)

    def memorise(self, look: Tensor, keys: Tensor, mask: Tensor, window: Window) -> Memory:
        """Memory of a window of a frame; look (as of `look`), keys and mask (B, ·, h, w) are of all of it."""
        seen = grown(window, VALUE_REACH, mask.shape[2:])
        values = cut(self.know(cut(look, seen), cut(mask, seen)), within(window, seen)).flatten(2)[:, :-1]
        is_object = cut(object_cells(mask, (1, 2, 3)), window).flatten(1)
        return Memory(cut(keys, window).flatten(2), values, cut(mask, window).flatten(1), is_object)

    def forward(
        self,
        keys: Tensor,
        reference: Memory,
        before_keys: Tensor,
        before: Tensor,
        offset: tuple[int, int],
        radius: int | None = None,
    ) -> Tensor:
        """Evidence for a window of the current frame.

        Args:
            keys: (B, C, h, w) of the window.
            reference: what is known of the first frame and of late, seen by every pixel.
            before_keys: (B, C, H, W) of the previous frame, or of a window of it.
            before: (B, V + 1, H, W), what is known there: values and mask, as of `know`.
            offset: row and column of the window's origin in the previous frame's grid.
            radius: reach of the local read-out, if it is not that of the module.

        Returns:
            (B, 2·(V + 4), h, w), the global read-out and then the local one, each as of `read`.
        """
        temperature = self.log_temperature.exp()
        globally = read(reference, keys.flatten(2), temperature[0]).unflatten(2, keys.shape[2:])
        around = Surroundings(keys, before_keys, offset, self.radius if radius is None else radius, temperature[1])
        return torch.cat([globally, around.attend(before), around.best_matches(before[:, -1:])], 1)


def _groups(chosen: Tensor) -> Iterator[Tensor | None]:
    """The chosen blocks (B, rows, columns), AT_ONCE of them at a time; None, all blocks, in an exported graph.

    What a graph computes cannot depend on its data.
    """
    if torch.compiler.is_exporting():
        yield None
        return
    for places in chosen.nonzero().split(AT_ONCE):
        group = torch.zeros_like(chosen)
        group[tuple(places.T)] = True
        yield group


def _rotation(inputs: int, outputs: int) -> nn.Conv2d:
    """A projection that keeps lengths and cosines, on average where it has fewer outputs than inputs."""
    layer = nn.Conv2d(inputs, outputs, 1, bias=False)
    nn.init.orthogonal_(layer.weight, gain=max(1.0, inputs / outputs) ** 0.5)
    return layer
