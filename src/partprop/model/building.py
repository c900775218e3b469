"""Assembles the network from its parts; each ablation is another part."""

from pathlib import Path

import torch

from partprop.model.backbone.imagenet import BackboneName, build_backbone
from partprop.model.backbone.keys import key_projections
from partprop.model.backbone.pyramid import Pyramid, init_truncated_normal
from partprop.model.backbone.weights import load_weights
from partprop.model.correlation import (
    LearnedKeyCorrelation,
    PixelCorrelation,
    StationaryPrior,
    value_encoder,
)
from partprop.model.correlation_filter import AttentionFilter, CorrelationFilter
from partprop.model.network import Network, ReferenceOnlyNetwork
from partprop.model.part_tracker import PartTracker
from partprop.model.propagation import MaskDecoder


def build_network(
    backbone: BackboneName,
    fpn_channels: int,
    key_channels: int,
    value_channels: int,
    roi_size: int,
    training_roi_size: int | None = None,
    learnt_keys: bool = True,
    pixel_correlation: bool = True,
    correlation_filter: bool = True,
    previous_frame: bool = True,
) -> Network:
    """A network with random weights. Arguments are the keys of the section `model` of params.yaml.

    Args:
        backbone: lite0 or resnet50v2; another one is added in `partprop.model.backbone.imagenet`.
        fpn_channels, key_channels, value_channels: of the pyramid, of the pixels' keys and of their values.
        roi_size: cells a side of the parts' RoIAlign at inference; training_roi_size: in training, None is the same.
        learnt_keys: False keeps the keys as they were pre-trained (`PixelCorrelation`).
        pixel_correlation: False keeps the previous mask where it was (`StationaryPrior`).
        correlation_filter: False lets attention take the filter's place (`AttentionFilter`).
        previous_frame: False uses the reference frame alone (`ReferenceOnlyNetwork`).
    """
    pyramid = Pyramid(build_backbone(backbone), fpn_channels)
    tracker = PartTracker(fpn_channels)
    correlation = _build_correlation(
        pyramid, key_channels, value_channels, learnt_keys, pixel_correlation, correlation_filter
    )
    decoder = MaskDecoder(fpn_channels, value_channels, roi_size, training_roi_size or roi_size)
    init_truncated_normal(tracker)
    assemble = Network if previous_frame else ReferenceOnlyNetwork
    return assemble(pyramid, tracker, correlation, decoder).to(memory_format=torch.channels_last)


def _build_correlation(
    pyramid: Pyramid,
    key_channels: int,
    value_channels: int,
    learnt_keys: bool,
    pixel_correlation: bool,
    correlation_filter: bool,
) -> PixelCorrelation:
    """The order in which modules draw their random weights decides a run's numbers: keep it."""
    channels = pyramid.out_channels
    base = key_projections(pyramid.base_channels[:3], key_channels)
    if not pixel_correlation:
        return StationaryPrior(base, value_encoder(channels, value_channels), AttentionFilter())
    learnt = torch.nn.Conv2d(channels, key_channels, 1) if learnt_keys else None
    value = value_encoder(channels, value_channels)
    filter = CorrelationFilter() if correlation_filter else AttentionFilter()
    if learnt is None:
        return PixelCorrelation(base, value, filter)
    return LearnedKeyCorrelation(base, learnt, value, filter)


def load_network(path: Path, network: Network) -> Network:
    """Load weights into a network and switch it to evaluation mode.

    Raises:
        UserError: the file is missing, damaged or of another network.
    """
    load_weights(network, path)
    return network.eval()
