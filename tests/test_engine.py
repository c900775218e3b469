"""OpenVINO in the place of PyTorch."""

import sys
from pathlib import Path

import numpy as np
import pytest

from partprop.benchmark import render
from partprop.errors import UserError
from partprop.tracking.pretrained import Segmenter
from tiny import write_tiny_weights


def test_openvino_finds_what_pytorch_finds(tmp_path: Path) -> None:
    path = write_tiny_weights(tmp_path / "tiny.safetensors")
    plain, other = (Segmenter(path, device) for device in ("cpu", "openvino"))
    frames = [render(number, 2) for number in range(3)]
    for segmenter in (plain, other):
        segmenter.start(*frames[0])
    for image, _ in frames[1:]:
        wanted, found = plain.step(image), other.step(image)
        assert (wanted.labels != found.labels).mean() < 1e-3
        for number in (1, 2):
            np.testing.assert_allclose(found.probabilities[number], wanted.probabilities[number], atol=0.02)


def test_without_openvino_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"--device openvino: is not installed; pip install 'partprop\[openvino\]'"):
        Segmenter(write_tiny_weights(tmp_path / "tiny.safetensors"), "openvino")
