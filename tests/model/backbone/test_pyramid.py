"""The pyramid for the network is the one that the detector trains."""

import torch

from partprop.model.backbone.imagenet import build_backbone
from partprop.model.backbone.pyramid import Pyramid


def test_levels_are_those_of_the_detector():
    pyramid, images = Pyramid(build_backbone("lite0"), 16).eval(), torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        _, (p2, *others) = pyramid.levels(images)
        expected = list(pyramid(images).values())
        torch.testing.assert_close([pyramid.finest(p2), *others], expected[:4])
