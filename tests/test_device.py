"""Devices, and half precision where it pays."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from partprop import device
from partprop.benchmark import render
from partprop.device import choose_device, compute_in_half, half_precision
from partprop.errors import UserError
from partprop.tracking.pretrained import Segmenter
from tiny import write_tiny_weights


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(UserError, match=r"--device quantum: cannot be used .*; choose auto or cpu"):
        choose_device("quantum")
    with pytest.raises(UserError, match="--device meta: cannot be used"):
        choose_device("meta")  # PyTorch's shapes without data


def test_gpus_halve_and_old_processors_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert half_precision(torch.device("cuda")) == torch.float16
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert half_precision(torch.device("cpu")) is None
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)
    assert half_precision(torch.device("cpu")) == torch.bfloat16


class Both(nn.Module):
    """Gives outputs of every kind that the network's parts do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 1)

    def forward(self, image: torch.Tensor) -> tuple[dict[str, torch.Tensor], list[torch.Tensor]]:
        return {"one": self.layer(image)}, [self.layer(image)]


def test_what_is_computed_in_half_comes_out_single(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "half_precision", lambda _: torch.bfloat16)
    module, image = Both(), torch.rand(1, 3, 5, 5)
    exact = module(image)[0]["one"]
    compute_in_half([(module, "forward")], torch.device("cpu"))
    named, listed = module(image)
    for found in (named["one"], listed[0]):
        assert found.dtype == torch.float32
        assert not torch.equal(found, exact)
        torch.testing.assert_close(found, exact, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_changes_little(half: torch.dtype, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = write_tiny_weights(tmp_path / "tiny.safetensors")
    found = []
    for dtype in (None, half):
        monkeypatch.setattr(device, "half_precision", lambda _, dtype=dtype: dtype)
        segmenter = Segmenter(path, "cpu")
        segmenter.start(*render(0, 1))
        found.append([segmenter.step(render(number, 1)[0]).probabilities[1] for number in (1, 2)])
    for exact, halved in zip(*found, strict=True):
        assert not np.array_equal(exact, halved)
        np.testing.assert_allclose(exact, halved, atol=0.15)
        assert np.abs(exact - halved).mean() < 0.01
