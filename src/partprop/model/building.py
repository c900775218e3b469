"""The network of params.yaml, with random weights or those of a file."""

from pathlib import Path

import torch

from partprop.model.backbone.imagenet import BackboneName, build_backbone
from partprop.model.backbone.pyramid import Pyramid
from partprop.model.backbone.weights import load_weights
from partprop.model.network import Network


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
    """A network with random weights; the arguments are the `model` section of params.yaml, see `Network`.

    By default it is trained with RoIs of the size that it is used with.
    """
    pyramid = Pyramid(build_backbone(backbone), fpn_channels)
    network = Network(
        pyramid,
        key_channels,
        value_channels,
        roi_size,
        training_roi_size or roi_size,
        learnt_keys=learnt_keys,
        pixel_correlation=pixel_correlation,
        correlation_filter=correlation_filter,
        previous_frame=previous_frame,
    )
    return network.to(memory_format=torch.channels_last)


def load_network(path: Path, network: Network) -> Network:
    """Load models/tracker.safetensors into a network and set it to evaluation.

    Raises:
        UserError: the file is missing, damaged or of another network.
    """
    load_weights(network, path)
    return network.eval()
