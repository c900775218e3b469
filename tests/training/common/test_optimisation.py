"""Learning rates and parameter groups of the optimizer."""

import pytest
import torch
from torch import nn

from partprop.training.common.optimisation import build_ema, build_optimizer, lr_factor, set_learning_rate


def network() -> nn.ModuleDict:
    return nn.ModuleDict({"backbone": nn.Conv2d(3, 4, 3), "head": nn.Linear(4, 2)})


@pytest.mark.parametrize(("step", "factor"), [(0, 0.25), (2, 0.75), (3, 1.0), (8, 0.505), (13, 0.01)])
def test_the_learning_rate_rises_linearly_and_decays_as_a_cosine(step: int, factor: float):
    assert lr_factor(step, steps=13, warmup_steps=3) == pytest.approx(factor)


def test_the_backbone_has_a_scaled_rate_and_biases_do_not_decay():
    net = network()
    optimizer = build_optimizer(net, net["backbone"], 1e-3, 0.1, 0.05)
    set_learning_rate(optimizer, 0.5)
    rates = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert rates[id(net["head"].weight)] == (0.5, 0.05)
    assert rates[id(net["head"].bias)] == (0.5, 0.0)
    assert rates[id(net["backbone"].weight)] == (0.05, 0.05)
    assert rates[id(net["backbone"].bias)] == (0.05, 0.0)


def test_a_scale_of_zero_freezes_the_backbone():
    net = network()
    optimizer = build_optimizer(net, net["backbone"], 1e-3, 0.0, 0.05)
    assert not any(parameter.requires_grad for parameter in net["backbone"].parameters())
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2


def test_the_moving_average_follows_the_weights():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 1.0)
    average = build_ema(net, 0.9)
    average.update_parameters(net)  # the first update copies the weights
    nn.init.constant_(net.weight, 2.0)
    average.update_parameters(net)
    assert average.module.weight.item() == pytest.approx(0.9 * 1.0 + 0.1 * 2.0)
    assert isinstance(average.module.weight, torch.nn.Parameter)
