"""Small untrained networks and modules for tests, and random unit keys."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.model.backbone.imagenet import imagenet_weights, initialise_backbone
from partprop.model.backbone.keys import key_projections
from partprop.model.building import build_network
from partprop.model.correlation import (
    LearnedKeyCorrelation,
    PixelCorrelation,
    value_encoder,
)
from partprop.model.correlation_filter import CorrelationFilter
from partprop.model.features import Features
from partprop.model.network import Network
from partprop.pretrained import save_pretrained
from partprop.tracking.settings import Settings

MODEL = {"backbone": "lite0", "fpn_channels": 16, "key_channels": 16, "value_channels": 8, "roi_size": 16}


def write_tiny_weights(path: Path) -> Path:
    """Write the weights of a tiny network in the format of the shipped weights."""
    torch.manual_seed(0)
    save_pretrained(build_network(**MODEL), MODEL, Settings(96, 2, 0.0, 0), path)
    return path


def unit(*shape: int, seed: int = 0) -> Tensor:
    """Random unit vectors along dimension 1."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def confident_network() -> Network:
    """An untrained network on ImageNet's features: its prior comes from the reference, its presence is high."""
    torch.manual_seed(0)
    network = build_network("lite0", 16, 32, 8, 16).eval()
    backbone = initialise_backbone("lite0", imagenet_weights("lite0", "imagenet"))
    network.pyramid.backbone.load_state_dict(backbone.state_dict())
    torch.nn.init.constant_(network.decoder.presence.bias, 6.0)
    network.correlation.prior_weights.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
    return network


def fixed_keys(base: list[int], channels: int, keys: int, values: int, **radii: int) -> PixelCorrelation:
    """Pixel correlation with fixed keys."""
    return PixelCorrelation(key_projections(base, keys), value_encoder(channels, values), CorrelationFilter(), **radii)


def learned_keys(base: list[int], channels: int, keys: int, values: int) -> LearnedKeyCorrelation:
    """Pixel correlation with learned keys."""
    projection, learnt = key_projections(base, keys), torch.nn.Conv2d(channels, keys, 1)
    return LearnedKeyCorrelation(projection, learnt, value_encoder(channels, values), CorrelationFilter())


def frame_with(keys: Tensor, p3_projection: Tensor) -> Features:
    """Features of a frame of which only keys and projected P3 are used."""
    unused = keys[:, :0]
    return Features(unused, unused, unused, unused, unused, unused, unused, p3_projection, keys, unused)
