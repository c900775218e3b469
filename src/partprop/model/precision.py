"""How exactly maps are kept: as exactly as they are multiplied."""

import torch
from torch import Tensor


def as_multiplied(cells: Tensor) -> Tensor:
    """Cells in the precision in which matrices are multiplied at present: no more than that is to be copied."""
    device = cells.device.type
    return cells.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else cells
