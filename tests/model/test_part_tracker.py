"""The part tracker's geometry, shapes and gradients."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partprop.model.losses import tracking_loss
from partprop.model.part_tracker import RESPONSE, PartTracker, best_boxes, decode_boxes, encode_boxes, places


def levels(batch: int, channels: int, size: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, channels, size // s, size // s, generator=generator) for s in (8, 16, 32)]


@settings(max_examples=30, deadline=None)
@given(
    st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(10, 60), st.floats(10, 60)),
    st.tuples(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(0.5, 2), st.floats(0.5, 2)),
)
def test_boxes_survive_encoding(last, change):
    x, y, width, height = last
    last_box = torch.tensor([[[x, y, x + width, y + height]]], dtype=torch.float64)
    moved = [x + change[0] * width, y + change[1] * height]
    box = torch.tensor([[[*moved, moved[0] + width * change[2], moved[1] + height * change[3]]]], dtype=torch.float64)
    decoded = decode_boxes(encode_boxes(box, last_box), last_box)
    torch.testing.assert_close(decoded, box[:, :, None, None].expand_as(decoded), atol=1e-6, rtol=1e-6)


def test_the_middle_place_is_the_last_centre():
    last = torch.tensor([[[10.0, 20, 30, 60]]])
    centres = places(last)[0, 0]
    assert centres[RESPONSE // 2, RESPONSE // 2].tolist() == [20, 40]
    assert centres[0, 0].tolist() == [0, 0]  # one size up and to the left
    assert centres[-1, -1].tolist() == [40, 80]


def test_shapes_and_gradients():
    tracker, frame = PartTracker(16), levels(2, 16, 128)
    boxes = torch.tensor([[20.0, 20, 60, 60], [30, 30, 50, 60], [0, 0, 128, 128]]).expand(2, 3, 4)
    templates = tracker.embed(frame, boxes)
    assert templates.shape == (2, 3, 16, 8, 8)
    scores, offsets = tracker(frame, templates, boxes)
    assert scores.shape == (2, 3, RESPONSE, RESPONSE)
    assert offsets.shape == (2, 3, RESPONSE, RESPONSE, 4)
    score, offset = tracking_loss(scores, offsets, boxes + 3, boxes, torch.ones(2, 3))
    (score + offset).backward()
    assert all(parameter.grad is not None for parameter in tracker.parameters())


def test_best_box_is_where_the_score_is():
    last = torch.tensor([[[40.0, 40, 80, 80]]])
    scores = torch.full((1, 1, RESPONSE, RESPONSE), -9.0)
    scores[0, 0, 10, 6] = 9.0  # two steps down and two to the left of the middle, an eighth of the size each
    boxes, best = best_boxes(scores, torch.zeros(1, 1, RESPONSE, RESPONSE, 4), last)
    torch.testing.assert_close(boxes[0, 0], torch.tensor([30.0, 50, 70, 90]))
    assert best[0, 0] > 0.99


def test_unknown_boxes_do_not_teach():
    scores = torch.randn(1, 2, RESPONSE, RESPONSE)
    offsets = torch.randn(1, 2, RESPONSE, RESPONSE, 4)
    last = torch.tensor([[[10.0, 10, 40, 40], [10, 10, 40, 40]]])
    tracked = torch.tensor([[1.0, 0.0]])
    before = tracking_loss(scores, offsets, last, last, tracked)
    scores[0, 1], offsets[0, 1] = 50, 50
    assert tracking_loss(scores, offsets, last, last, tracked) == before


def test_perfect_answers_cost_nothing():
    last = torch.tensor([[[10.0, 10, 40, 40]]])
    box = last + 5
    offsets = encode_boxes(box, last)
    distance = ((places(last) - 30.0) / 30).abs().amax(-1)
    scores = torch.where(distance <= 0.25, 30.0, -30.0)
    score, offset = tracking_loss(scores, offsets, box, last, torch.ones(1, 1))
    assert score < 1e-6
    assert offset < 1e-6
