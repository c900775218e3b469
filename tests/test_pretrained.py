"""Weights with all that is needed to use them: a round trip, and files that are something else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import partprop
from partprop.base.errors import UserError
from partprop.model.backbone.weights import save_weights
from partprop.model.building import build_network
from partprop.pretrained import load_pretrained, save_pretrained
from partprop.tracking.settings import Settings
from tiny import MODEL

SETTINGS = Settings(short_side=96, parts=3, lost_score=0.25, memory_every=2)


def test_what_is_read_is_what_was_written_to_half_precision(tmp_path: Path) -> None:
    network, path = build_network(**MODEL), tmp_path / "some.safetensors"
    save_pretrained(network, MODEL, SETTINGS, path)
    read, settings = load_pretrained(path)
    assert settings == SETTINGS
    assert not read.training
    assert path.stat().st_size < 0.52 * 4 * sum(value.numel() for value in network.state_dict().values())
    for key, value in network.state_dict().items():
        assert read.state_dict()[key].dtype == torch.float32
        torch.testing.assert_close(read.state_dict()[key], value, rtol=1e-3, atol=1e-6)


def test_other_files_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    with pytest.raises(UserError, match=r"some\.safetensors: no such weights file"):
        load_pretrained(path)
    path.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"some\.safetensors: not a readable safetensors file"):
        load_pretrained(path)
    with pytest.raises(UserError, match="no such weights file"):
        load_pretrained(tmp_path / ("long" * 100))
    with pytest.raises(UserError, match="is a folder; name the weights file in it"):
        load_pretrained(tmp_path)
    save_weights(torch.nn.Linear(2, 2), path)
    with pytest.raises(UserError, match=r"some\.safetensors: no usable metadata"):
        load_pretrained(path)


@pytest.mark.parametrize("change", [{"fpn_channels": -3}, {"fpn_channels": "many"}, {"colour": 1}])
def test_a_network_that_cannot_be_built(tmp_path: Path, change: dict[str, object]) -> None:
    save_pretrained(build_network(**MODEL), MODEL | change, SETTINGS, tmp_path / "some.safetensors")
    with pytest.raises(UserError, match=r"some\.safetensors: no usable metadata"):
        load_pretrained(tmp_path / "some.safetensors")


@pytest.mark.parametrize(
    "values", [{"short_side": -5}, {"short_side": "big"}, {"parts": None}, {"lost_score": 2}, {"memory_every": -1}]
)
def test_settings_out_of_range(values: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        replace(SETTINGS, **values)


def test_weights_of_a_training_that_diverged(tmp_path: Path) -> None:
    network = build_network(**MODEL)
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    save_pretrained(network, MODEL, SETTINGS, tmp_path / "some.safetensors")
    with pytest.raises(UserError, match=r"some\.safetensors: contains NaN or infinite weights"):
        load_pretrained(tmp_path / "some.safetensors")


def test_no_pixels_are_refused() -> None:
    with pytest.raises(UserError, match="short_side: 0 pixels; pass at least 1"):
        partprop.Segmenter(device="cpu", short_side=0)


def test_the_segmenter_of_the_package_uses_them(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_pretrained(build_network(**MODEL), MODEL, SETTINGS, tmp_path / "some.safetensors")
    segmenter = partprop.Segmenter(tmp_path / "some.safetensors", device="cpu", short_side=64)
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    mask = np.zeros((96, 128), np.uint8)
    mask[20:60, 30:70] = 4
    segmenter.start(image, mask)
    result = segmenter.step(image)
    assert result.labels.shape == (96, 128)
    assert set(result.confidence) == {4}


def test_nothing_else_is_in_the_package_by_that_way() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Tracker'"):
        partprop.Tracker  # noqa: B018
