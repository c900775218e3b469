"""Fetch the backbone's ImageNet weights."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from partprop.base import paths
from partprop.model.backbone.imagenet import imagenet_weights, initialise_backbone
from partprop.model.backbone.weights import save_weights

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run


def run(params: Params, log: Run) -> None:
    """Write models/backbone.safetensors; log its source and checksum."""
    weights = imagenet_weights(params.model.backbone, params.backbone.weights)
    save_weights(initialise_backbone(params.model.backbone, weights), paths.BACKBONE)
    checksum = hashlib.sha256(paths.BACKBONE.read_bytes()).hexdigest()
    log.tags({"backbone.source": weights.origin, "backbone.sha256": checksum})
