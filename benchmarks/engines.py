"""Time backbone, FPN and mask decoder in other inference engines, compared with eager PyTorch.

    .venv/bin/pip install -e '.[engines]'
    .venv/bin/python benchmarks/engines.py

Uses the weights that come with the package, a frame of 854x480 pixels at the working resolution, and the whole object
with six parts, in single precision. The outputs of each engine must equal those of PyTorch. The engines take turns, so
that other load on the machine affects all of them; the ratio is that of the medians.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import openvino
import torch
from torch import Tensor, nn

from partprop.base.threads import use_threads
from partprop.model.backbone.pyramid import Pyramid
from partprop.model.propagation import MATCHES, MaskDecoder, PartInputs
from partprop.pretrained import LITE0, load_pretrained

FRAME = (448, 768)  # 480x854 at a shorter side of 420, padded
PARTS = 7
TOLERANCE = 1e-3  # maximum error relative to the largest value

Engine = Callable[[tuple[Tensor, ...]], list[Tensor]]


class Levels(nn.Module):
    """The pyramid as a module from tensor to tensors: C2, C3, C4 for the keys, and P2 to P5."""

    def __init__(self, pyramid: Pyramid) -> None:
        super().__init__()
        self.pyramid = pyramid

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See `Pyramid`."""
        backbone_levels, (p2, *others) = self.pyramid.levels(images)
        return (*backbone_levels[:3], self.pyramid.finest(p2), *others)


class Decoder(nn.Module):
    """The mask decoder as a module from tensors to tensors."""

    def __init__(self, decoder: MaskDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See `MaskDecoder`."""
        return self.decoder(PartInputs(*inputs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    use_threads(arguments.threads)
    network, _ = load_pretrained(LITE0)
    images = torch.rand(1, 3, *FRAME)
    cases = {
        "backbone and FPN": (Levels(network.pyramid), (images,)),
        "mask decoder": (Decoder(network.decoder), _decoder_inputs(network.roi_size)),
    }
    with torch.inference_mode():
        for name, (module, inputs) in cases.items():
            seconds = _compare(module.eval(), inputs, arguments.threads, arguments.rounds)
            plain = seconds["PyTorch"]
            for engine, spent in seconds.items():
                print(f"{name:18s} {engine:14s} {1000 * spent:7.1f} ms  {plain / spent:5.2f} x as fast", flush=True)


def _decoder_inputs(size: int) -> tuple[Tensor, ...]:
    shapes = {
        "image": (3, 2 * size),
        "detail": (MaskDecoder.DETAIL, 2 * size),
        "features": (MaskDecoder.REDUCED, size),
        "context": (MaskDecoder.REDUCED, size // 2),
        "values": (MaskDecoder.VALUES, size),
        "matches": (MATCHES, size),
        "prior": (1, 2 * size),
        "previous": (1, 2 * size),
        "reference": (MaskDecoder.GUIDANCE, size),
    }
    return tuple(torch.rand(PARTS, channels, side, side) for channels, side in shapes.values())


def _compare(module: nn.Module, inputs: tuple[Tensor, ...], threads: int, rounds: int) -> dict[str, float]:
    """Median seconds of each engine; the engines take turns."""
    with tempfile.TemporaryDirectory() as folder:
        engines: dict[str, Engine] = {
            "PyTorch": lambda tensors: list(module(*tensors)),
            "torch.compile": _compiled(module),
            "ONNX Runtime": _onnx_runtime(module, inputs, Path(folder) / "model.onnx", threads),
            "OpenVINO": _openvino(module, inputs, threads),
        }
        wanted = engines["PyTorch"](inputs)
        for name, engine in engines.items():
            for found, true in zip(engine(inputs), wanted, strict=True):
                assert (found - true).abs().max() <= TOLERANCE * true.abs().max(), name
        spent: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(rounds):
            for name, engine in engines.items():
                start = time.perf_counter()
                engine(inputs)
                spent[name].append(time.perf_counter() - start)
    return {name: statistics.median(each) for name, each in spent.items()}


def _compiled(module: nn.Module) -> Engine:
    compiled = torch.compile(module)
    return lambda tensors: list(compiled(*tensors))


def _onnx_runtime(module: nn.Module, inputs: tuple[Tensor, ...], path: Path, threads: int) -> Engine:
    torch.onnx.export(module, inputs, path, dynamo=True, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]

    def run(tensors: tuple[Tensor, ...]) -> list[Tensor]:
        fed = {name: tensor.numpy() for name, tensor in zip(names, tensors, strict=True)}
        return [torch.from_numpy(found) for found in session.run(None, fed)]

    return run


def _openvino(module: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Engine:
    model = openvino.convert_model(module, example_input=inputs)
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(model, "CPU", settings)
    return lambda tensors: [torch.from_numpy(found) for found in compiled([each.numpy() for each in tensors]).values()]


if __name__ == "__main__":
    main()
