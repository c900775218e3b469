"""Weights of a module as safetensors files."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from partprop.base.errors import UserError
from partprop.base.files import atomic_write


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights as safetensors."""
    content = save({key: value.cpu().contiguous() for key, value in module.state_dict().items()})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)  # `save_file` to a full disk is not an OSError


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module whose keys it must match.

    Raises:
        UserError: the file is missing, damaged or of another network.
    """
    try:
        module.load_state_dict(load_file(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such weights file; run the stage that writes it") from None
    except (SafetensorError, OSError):
        raise UserError(f"{path}: not a readable safetensors file; delete it and run its stage again") from None
    except RuntimeError:
        raise UserError(f"{path}: weights of another network; the model section of params.yaml differs") from None
