"""Devices, and half precision where it pays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import partprop.pretrained as pretrained
from fake_cuda import fake_cuda, needs_fake_cuda
from partprop.base.errors import UserError
from partprop.model.backbone import devices as device
from partprop.model.backbone.devices import choose_device
from partprop.pretrained import Segmenter, compute_in_half, half_precision
from partprop.segment.benchmark import render_disks
from partprop.tracking.result import Result
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
    monkeypatch.setattr(pretrained, "half_precision", lambda _: torch.bfloat16)
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
        monkeypatch.setattr(pretrained, "half_precision", lambda _, dtype=dtype: dtype)
        segmenter = Segmenter(path, "cpu")
        segmenter.start(*render_disks(0, 1))
        found.append([segmenter.step(render_disks(number, 1)[0]).probabilities[1] for number in (1, 2)])
    for exact, halved in zip(*found, strict=True):
        assert not np.array_equal(exact, halved)
        np.testing.assert_allclose(exact, halved, atol=0.15)
        assert np.abs(exact - halved).mean() < 0.01


def follow(weights: Path, device: str) -> list[Result]:
    """Two disks of a rendered clip, for four frames."""
    segmenter = Segmenter(weights, device)
    return [segmenter.start(*render_disks(0, 2)), *(segmenter.step(render_disks(number, 2)[0]) for number in (1, 2, 3))]


@needs_fake_cuda
def test_no_tensor_stays_on_the_processor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pretrained, "half_precision", lambda _: None)
    with fake_cuda():
        follow(write_tiny_weights(tmp_path / "tiny.safetensors"), "cuda:0")


def require_same(results: list[Result], others: list[Result], tolerance: float) -> None:
    for one, other in zip(results, others, strict=True):
        assert np.mean(one.labels != other.labels) < 0.001
        for object_id, probability in one.probabilities.items():
            np.testing.assert_allclose(other.probabilities[object_id], probability, atol=tolerance)
            assert other.confidence[object_id] == pytest.approx(one.confidence[object_id], abs=tolerance)
        for box, same in zip(one.boxes, other.boxes, strict=True):
            assert same.box == pytest.approx(box.box, abs=0.1)


def test_channels_are_first_and_weights_without_gaps_where_devices_need_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on Apple's devices, which compute wrongly with others; what is found is the same."""
    path, contiguous = write_tiny_weights(tmp_path / "tiny.safetensors"), list[bool]()

    def sample(maps: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        contiguous.append(maps.is_contiguous())
        return grid_sample(maps, *arguments, **options)

    def convolve(maps: torch.Tensor, weight: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        contiguous.append(weight.is_contiguous())
        return conv2d(maps, weight, *arguments, **options)

    grid_sample, conv2d = torch.nn.functional.grid_sample, torch.nn.functional.conv2d
    monkeypatch.setattr(pretrained, "half_precision", lambda _: None)
    monkeypatch.setattr(torch.nn.functional, "grid_sample", sample)
    monkeypatch.setattr(torch.nn.functional, "conv2d", convolve)
    as_usual = follow(path, "cpu")
    assert not all(contiguous)
    contiguous.clear()
    monkeypatch.setattr(device, "CHANNELS_FIRST", ("cpu",))
    first = follow(path, "cpu")
    assert contiguous
    assert all(contiguous)
    require_same(as_usual, first, 1e-3)


@needs_fake_cuda
def test_the_fake_device_refuses_to_mix_devices_like_a_real_one() -> None:
    with fake_cuda():
        there = torch.ones(2, device="cuda:0")
        assert (there + 1).tolist() == [2, 2]
        assert (there * torch.tensor(3.0)).tolist() == [3, 3]
        with pytest.raises(AssertionError, match="tensors of two devices"):
            there + torch.ones(2)
        with pytest.raises(AssertionError, match="tensors of two devices"):
            torch.stack([there[0], torch.tensor(1.0)])
        with pytest.raises(AssertionError, match="tensors of two devices"):
            there[torch.tensor([0, 1])] = torch.zeros(2)
        with pytest.raises(RuntimeError, match="numpy"):
            there.numpy()
        assert there.cpu().numpy().tolist() == [1, 1]
