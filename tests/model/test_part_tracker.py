"""The part tracker's geometry, shapes and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.model.part_tracker import RESPONSE, TEMPLATE, PartTracker, best_boxes, response_centres
from partprop.training.tracker.losses import tracking_loss


def levels(batch: int, channels: int, size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, size // s, size // s, generator=generator) for s in (8, 16, 32)]


def test_the_middle_place_is_the_last_centre():
    last = torch.tensor([[[10.0, 20, 30, 60]]])
    centres = response_centres(last)[0, 0]
    assert centres[RESPONSE // 2, RESPONSE // 2].tolist() == [20, 40]
    assert centres[0, 0].tolist() == [0, 0]  # one size up and to the left
    assert centres[-1, -1].tolist() == [40, 80]


def test_shapes_and_gradients():
    tracker, frame = PartTracker(16), levels(2, 16, 128)
    boxes = torch.tensor([[20.0, 20, 60, 60], [30, 30, 50, 60], [0, 0, 128, 128]]).expand(2, 3, 4)
    templates = tracker.embed(frame, boxes)
    assert templates.shape == (2, 3, 16, 8, 8)
    scores = tracker(frame, templates, boxes)
    assert scores.shape == (2, 3, RESPONSE, RESPONSE)
    tracking_loss(scores, boxes + 3, boxes, torch.ones(2, 3)).backward()
    assert all(parameter.grad is not None for parameter in tracker.parameters())


@pytest.mark.parametrize("sides", [[20], [150], [500], [20, 500], [20, 150, 500]])
def test_levels_without_a_box_make_no_difference(sides: list[int]):
    tracker, frame = PartTracker(16), levels(1, 16, 512)
    boxes = torch.tensor([[[5.0, 5, 5 + side, 5 + side] for side in sides]])
    learning = tracker(frame, tracker.embed(frame, boxes), boxes)
    with torch.no_grad():
        torch.testing.assert_close(tracker(frame, tracker.embed(frame, boxes), boxes), learning)


def test_best_box_is_where_the_score_is():
    last = torch.tensor([[[40.0, 40, 80, 80]]])
    scores = torch.full((1, 1, RESPONSE, RESPONSE), -9.0)
    scores[0, 0, 10, 6] = 9.0  # two steps down and two to the left of the middle, an eighth of the size each
    boxes, best = best_boxes(scores, last, window_weight=0)
    torch.testing.assert_close(boxes[0, 0], torch.tensor([30.0, 50, 70, 90]))
    assert best[0, 0] > 0.99


@settings(max_examples=30, deadline=None)
@given(st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8)), st.tuples(st.floats(16, 90), st.floats(16, 90)))
def test_a_peak_between_positions_is_found(shift, size):
    last = torch.tensor([[[50.0, 50, 50 + size[0], 50 + size[1]]]])
    true_centre = torch.tensor([50 + size[0] * (0.5 + shift[0]), 50 + size[1] * (0.5 + shift[1])])
    distance = (response_centres(last) - true_centre) / torch.tensor(size)
    boxes, _ = best_boxes(4 - 100 * distance.pow(2).sum(-1), last, window_weight=0)
    found = (boxes[0, 0, :2] + boxes[0, 0, 2:]) / 2
    # within a quarter of the spacing of positions
    assert ((found - true_centre).abs() < torch.tensor(size) / TEMPLATE / 4).all()
    torch.testing.assert_close(boxes[0, 0, 2:] - boxes[0, 0, :2], torch.tensor(size))


def test_unknown_boxes_do_not_teach():
    scores = torch.randn(1, 2, RESPONSE, RESPONSE)
    last = torch.tensor([[[10.0, 10, 40, 40], [10, 10, 40, 40]]])
    tracked = torch.tensor([[1.0, 0.0]])
    before = tracking_loss(scores, last, last, tracked)
    scores[0, 1] = 50
    assert tracking_loss(scores, last, last, tracked) == before


def test_perfect_answers_cost_nothing():
    last = torch.tensor([[[10.0, 10, 40, 40]]])
    distance = ((response_centres(last) - 30.0) / 30).abs().amax(-1)
    scores = torch.where(distance <= 0.25, 30.0, -30.0)
    assert tracking_loss(scores, last + 5, last, torch.ones(1, 1)) < 1e-6
