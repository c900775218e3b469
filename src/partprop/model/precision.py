"""Casts to the precision of matrix products."""

import torch
from torch import Tensor


def cast_for_matmul(cells: Tensor) -> Tensor:
    """Cast to the dtype in which autocast multiplies matrices, so that copies are no wider than the product needs."""
    device = cells.device.type
    return cells.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else cells
