"""Image files: sizes, and one-line errors for damaged files."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.images import decoded_size, read_rgb


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG"]), st.data())
def test_damaged_images_raise_only_user_errors(tmp_path_factory, kind: str, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "image"
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, format=kind)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(UserError):
        assert read_rgb(path).ndim == 3


@pytest.mark.parametrize("size", [(6, 40), (1, 1), (64, 3)])
def test_size_of_small_images(tmp_path: Path, size: tuple[int, int]):
    Image.new("RGB", size).save(tmp_path / "small.jpg")
    assert decoded_size(tmp_path / "small.jpg") == size
