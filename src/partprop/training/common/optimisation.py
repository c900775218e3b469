"""AdamW with a lower learning rate for the backbone, linear warm-up and cosine decay."""

import math

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

GRADIENT_NORM = 5.0  # gradients are clipped to this norm


def build_optimizer(
    network: nn.Module, backbone: nn.Module, lr: float, backbone_lr_scale: float, weight_decay: float
) -> torch.optim.AdamW:
    """Build AdamW (Loshchilov and Hutter, ICLR 2019) without weight decay on biases, norms and scalars.

    Args:
        backbone: the part of the network with learning rate `lr * backbone_lr_scale`; a scale of 0 freezes it.
    """
    backbone_ids = {id(parameter) for parameter in backbone.parameters()}
    groups = []
    for scale, in_backbone in ((1.0, False), (backbone_lr_scale, True)):
        parameters = [p for p in network.parameters() if (id(p) in backbone_ids) == in_backbone]
        if scale == 0:
            for parameter in parameters:
                parameter.requires_grad_(False)
            continue
        weights = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups.append({"params": weights, "weight_decay": weight_decay, "scale": scale})
        groups.append({"params": others, "weight_decay": 0.0, "scale": scale})
    return torch.optim.AdamW(groups, lr=lr)


def lr_factor(step: int, steps: int, warmup_steps: int) -> float:
    """Return the learning rate at a step as a fraction of its peak, in (0, 1].

    It rises linearly for `warmup_steps`, then decays as a cosine to 0.01 (SGDR, Loshchilov and Hutter, ICLR 2017, one
    cycle).
    """
    if step < warmup_steps:
        return (step + 1) / (warmup_steps + 1)
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of each group to `lr` times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["scale"]


def build_ema(network: nn.Module, decay: float) -> AveragedModel:
    """Build an exponential moving average of the network's weights; call `update_parameters` after each step."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay))
