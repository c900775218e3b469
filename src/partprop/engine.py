"""OpenVINO in the place of PyTorch for backbone and FPN, which it computes faster on processors."""

import warnings

import numpy as np
import torch
from torch import Tensor, nn

from partprop.device import half_precision
from partprop.errors import UserError
from partprop.model.fpn import Pyramid

OPENVINO = "openvino"
"""Instead of a device: the processor, and OpenVINO where it is faster."""


def use_openvino(pyramid: Pyramid) -> None:
    """Let a pyramid compute its levels with OpenVINO; it is translated for each size of images when that first comes.

    Raises:
        UserError: OpenVINO is not installed.
    """
    try:
        import openvino
    except ImportError:
        raise UserError("--device openvino: is not installed; pip install 'partprop[openvino]'") from None
    cpu = torch.device("cpu")
    settings = {
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": "f32" if half_precision(cpu) is None else "bf16",
    }
    compiled: dict[tuple[int, ...], openvino.CompiledModel] = {}
    original = _Flat(pyramid)

    def levels(images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        size = tuple(images.shape)
        if size not in compiled:
            with torch.autocast("cpu", enabled=False), warnings.catch_warnings():  # it halves on its own
                warnings.simplefilter("ignore", FutureWarning)  # of torch.jit, by which OpenVINO translates
                model = openvino.convert_model(original, example_input=images, input=[size])
            compiled[size] = openvino.compile_model(model, "CPU", settings)
        found = [torch.from_numpy(np.asarray(level)) for level in compiled[size](images.numpy()).values()]
        return found[: len(found) // 2], found[len(found) // 2 :]

    pyramid.levels = levels  # type: ignore[method-assign]


class _Flat(nn.Module):
    """C2..C5 and P2..P5 as one tuple."""

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.pyramid = pyramid

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        backbone_levels, pyramid_levels = Pyramid.levels(self.pyramid, images)  # the method of the class, not ours
        return (*backbone_levels, *pyramid_levels)
