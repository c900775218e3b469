"""Command-line arguments and frames of the benchmarks on named training sequences."""

import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from partprop.base.errors import UserError
from partprop.base.threads import use_threads
from partprop.data.video import Video, open_davis
from partprop.model.backbone.imagenet import normalise
from partprop.model.features import COARSEST
from partprop.process.allocator import keep_freed_pages


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """A parser for the folder, the sequence names and the number of threads."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="DAVIS folder")
    parser.add_argument("sequences", nargs="+", help="names of training sequences")
    parser.add_argument("--threads", type=int, default=2)
    return parser


def prepare(threads: int) -> None:
    """Set thread counts and the allocator as the stages do."""
    keep_freed_pages()
    use_threads(threads)


def named_sequences(davis: Path, names: list[str]) -> list[Video]:
    """Open training sequences by name, in the given order.

    Raises:
        UserError: a name is not in the training split.
    """
    by_name = {sequence.name: sequence for sequence in open_davis(davis, "train", 2016)}
    if unknown := [name for name in names if name not in by_name]:
        raise UserError(f"{', '.join(unknown)}: no such training sequence; choose from {', '.join(by_name)}")
    return [by_name[name] for name in names]


class WorkingFrame(NamedTuple):
    """A frame at the working resolution.

    Attributes:
        image: uint8 (H, W, 3), RGB.
        mask: (H, W) in [0, 1], of object 1.
        padded: float (1, 3, ·, ·), the normalised image with sides that the network encodes.
    """

    image: np.ndarray
    mask: Tensor
    padded: Tensor


def working_frame(video: Video, index: int, short_side: int) -> WorkingFrame:
    """Read a frame, resized so that its shorter side has `short_side` pixels."""
    image, labels = video.image(index), video.labels(index)
    scale = short_side / min(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    image = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    mask = cv2.resize((labels == 1).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    padded = F.pad(normalise(image), (0, -size[0] % COARSEST, 0, -size[1] % COARSEST))
    return WorkingFrame(image, torch.from_numpy(mask), padded[None])
