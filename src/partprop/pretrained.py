"""Segmentation with trained weights from one file, which holds the network's arguments and settings as well."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.model.backbone.devices import choose_device, move_to_device
from partprop.model.building import build_network, load_network
from partprop.model.network import Network
from partprop.process.libraries import limit_onednn_cache
from partprop.tracking import segmenter
from partprop.tracking.settings import Settings

LITE0 = Path(__file__).parent / "weights" / "lite0.safetensors"
"""Weights shipped with the package."""


def save_pretrained(network: Network, model: dict[str, Any], settings: Settings, path: Path) -> None:
    """Write a network in half precision with its metadata.

    Args:
        model: arguments of `build_network`.
        settings: of the online loop in which the network was measured.
    """
    halves = {key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()}
    content = save(halves, {"model": json.dumps(model), "settings": json.dumps(asdict(settings))})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_pretrained(path: Path = LITE0) -> tuple[Network, Settings]:
    """Read a network for inference, in single precision on the CPU, and its settings.

    Raises:
        UserError: the file is missing, damaged, not written by `save_pretrained`, or has NaN or infinite weights.
    """
    if os.path.isdir(path):  # Path.is_dir raises for names that are too long
        raise UserError(f"{path}: is a folder; name the weights file in it")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file; name one that scripts/ship_weights.py wrote") from None
    except (SafetensorError, OSError):
        raise UserError(f"{path}: not a readable safetensors file; copy it again") from None
    try:
        network = build_network(**json.loads(metadata["model"]))
        settings = Settings(**json.loads(metadata["settings"]))
    except (KeyError, TypeError, ValueError, RuntimeError):  # RuntimeError: sizes that no tensor can have
        raise UserError(
            f"{path}: no usable metadata of the network and its settings; write it with scripts/ship_weights.py"
        ) from None
    load_network(path, network)
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise UserError(
            f"{path}: contains NaN or infinite weights: training diverged; retrain from an earlier checkpoint"
        )
    return network, settings


class Segmenter(segmenter.Segmenter):
    """Segments objects online with trained weights.

        segmenter = Segmenter()
        segmenter.start(frame, mask)
        for frame in video:
            result = segmenter.step(frame)

    Frames are uint8 (H, W, 3), RGB; masks are uint8 (H, W), 0 background, object ids. The most expensive methods run in
    half precision where the device is faster with it: float16 on a GPU, bfloat16 on a CPU that supports it.

    Several segmenters are independent of each other. While one of them segments several objects on a CPU, threads
    that start may see fewer of PyTorch's threads: call `torch.set_num_threads` in each.

    Args:
        weights: a file written by `save_pretrained`; None is the shipped one.
        device: auto, cpu, cuda or mps.
        short_side: working resolution, pixels of the shorter side at most; None is that of the weights' settings.

    Raises:
        UserError: the weights are missing or unreadable, the device is not available, or short_side is below 1.
    """

    def __init__(self, weights: Path | str | None = None, device: str = "auto", short_side: int | None = None) -> None:
        limit_onednn_cache()
        network, settings = load_pretrained(LITE0 if weights is None else Path(weights))
        if short_side is not None:
            if short_side < 1:
                raise UserError(f"short_side: {short_side} pixels; pass at least 1")
            settings = replace(settings, short_side=min(settings.short_side, short_side))
        chosen = choose_device(device)
        move_to_device(network, chosen)
        compute_in_half(_half_precision_methods(network), chosen)
        super().__init__(network, settings)


def _half_precision_methods(network: Network) -> list[tuple[nn.Module, str]]:
    """Methods that run in half precision: the most expensive ones except the keys, whose cosines need precision."""
    correlation = network.correlation
    return [
        (network.pyramid, "levels"),
        (network.decoder, "reduce_frame"),
        (correlation, "project_p3"),
        (correlation, "read"),
        (correlation, "read_fine"),
        (network.decoder, "forward"),
    ]


def half_precision(device: torch.device) -> torch.dtype | None:
    """The 16-bit format in which a device multiplies fastest; None for a CPU without one."""
    if device.type != "cpu":
        return torch.float16
    # torch has no public name for these checks; without hardware support bfloat16 is emulated and slow
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else None


def compute_in_half(methods: Iterable[tuple[nn.Module, str]], device: torch.device) -> None:
    """Run methods under autocast where the device has a fast 16-bit format; results are in single precision."""
    dtype = half_precision(device)
    if dtype is not None:
        for module, name in methods:
            setattr(module, name, _reduced(getattr(module, name), device.type, dtype))


def _reduced(method: Callable[..., Any], device: str, dtype: torch.dtype) -> Callable[..., Any]:
    def reduced(*arguments: Any) -> Any:
        with torch.autocast(device, dtype):
            return _single(method(*arguments))

    return reduced


def _single(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, Mapping):
        return {key: _single(each) for key, each in value.items()}
    converted = [_single(each) for each in value]
    return type(value)._make(converted) if hasattr(value, "_make") else type(value)(converted)
