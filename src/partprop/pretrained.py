"""Trained weights that can be used without params.yaml: the file says how to build the network and how to run it."""

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
from partprop.model.backbone.devices import choose_device, place
from partprop.model.building import build_network, load_network
from partprop.model.network import Network
from partprop.process.libraries import limit_onednn_cache
from partprop.tracking import segmenter
from partprop.tracking.settings import Settings

LITE0 = Path(__file__).parent / "weights" / "lite0.safetensors"
"""The weights that come with the package."""


def save_pretrained(network: Network, model: dict[str, Any], settings: Settings, path: Path) -> None:
    """Write a network in half precision, the arguments of `build_network` and the settings it was measured with."""
    halves = {key: value.to(torch.float16).contiguous() for key, value in network.state_dict().items()}
    content = save(halves, {"model": json.dumps(model), "settings": json.dumps(asdict(settings))})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_pretrained(path: Path = LITE0) -> tuple[Network, Settings]:
    """A network for inference on a processor, in single precision, and its settings; `place` moves it elsewhere.

    Raises:
        UserError: the file is missing, damaged, not written by `save_pretrained`, or of a training that diverged.
    """
    if os.path.isdir(path):  # where Path.is_dir raises, for names that are too long
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
    except (KeyError, TypeError, ValueError, RuntimeError):  # the last for sizes that no tensor has
        raise UserError(
            f"{path}: does not say how its network is built; write it with scripts/ship_weights.py"
        ) from None
    load_network(path, network)
    if not all(torch.isfinite(value).all() for value in network.state_dict().values()):
        raise UserError(f"{path}: holds weights that are no numbers; train again, from a checkpoint before that")
    return network, settings


class Segmenter(segmenter.Segmenter):
    """Follows objects through one video with trained weights.

        segmenter = Segmenter()
        segmenter.start(frame, mask)
        for frame in video:
            result = segmenter.step(frame)

    What costs the most is computed in half precision where the device is faster with it: float16 on a GPU, bfloat16 on
    a processor that has it.

    Frames are uint8 (H, W, 3), RGB; masks are uint8 (H, W), 0 background, object ids. Several segmenters do not disturb
    each other. With several objects on a processor, threads that begin while another one segments may find fewer of
    PyTorch's threads than it has: let each set their number itself (`torch.set_num_threads`).

    Args:
        weights: a file of `save_pretrained`; those that come with the package if None.
        device: auto, cpu, cuda or mps.
        short_side: pixels of the shorter side at which frames are looked at, at most; None: as the weights were
            measured.

    Raises:
        UserError: the weights are missing or unreadable, the device is not there, or short_side is not above 0.
    """

    def __init__(self, weights: Path | str | None = None, device: str = "auto", short_side: int | None = None) -> None:
        limit_onednn_cache()
        network, settings = load_pretrained(LITE0 if weights is None else Path(weights))
        if short_side is not None:
            if short_side < 1:
                raise UserError(f"short_side: {short_side} pixels show nothing; give more")
            settings = replace(settings, short_side=min(settings.short_side, short_side))
        chosen = choose_device(device)
        place(network, chosen)
        compute_in_half(_costly(network), chosen)
        super().__init__(network, settings)


def _costly(network: Network) -> list[tuple[nn.Module, str]]:
    """Methods that take most of the time and bear half precision; keys are not among them, whose cosines decide."""
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
    """The format of 16 bits in which a device multiplies fastest; None for a processor that has none."""
    if device.type != "cpu":
        return torch.float16
    # torch has no public name for it; elsewhere bfloat16 is imitated, which is slow
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported() else None


def compute_in_half(methods: Iterable[tuple[nn.Module, str]], device: torch.device) -> None:
    """Let methods of modules compute in half precision, where torch deems that safe and the device is faster with it.

    What they give is in single precision, as before.
    """
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
