"""Read and write a module's weights as safetensors."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from partprop.base.errors import UserError
from partprop.base.files import atomic_write


def save_weights(module: nn.Module, path: Path) -> None:
    """Write a module's weights; the file appears when it is complete."""
    content = save({key: value.cpu().contiguous() for key, value in module.state_dict().items()})
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)  # on a full disk `save_file` raises no OSError


def load_weights(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module with the same keys.

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
        raise UserError(f"{path}: weights of another network; compare the model section of params.yaml") from None
