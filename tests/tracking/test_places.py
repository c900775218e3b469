"""Boxes of objects, and where they are remembered."""

import torch

from partprop.tracking.places import main_box


def test_the_main_box_is_that_of_all_large_components():
    mask = torch.zeros(60, 80)
    mask[10:30, 20:50] = 0.9
    mask[40:50, 60:75] = 0.8  # a quarter of the first
    assert main_box(mask).tolist() == [20, 10, 75, 50]


def test_specks_do_not_count():
    mask = torch.zeros(60, 80)
    mask[10:30, 20:50] = 0.9
    mask[2:5, 70:75] = 0.9
    mask[50:60, 0:80] = 0.4  # no object
    assert main_box(mask).tolist() == [20, 10, 50, 30]


def test_no_object_has_no_box():
    assert main_box(torch.full((6, 8), 0.4)) is None
