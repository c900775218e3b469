"""Proposing and dropping parts."""

import pytest
import torch

from partprop.model.boxes import box_of_mask
from partprop.tracking.parts import Parts, propose, redundant, roi_groups, unreliable


def disc(size: int = 96, radius: int = 30) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (((xs - size / 2) ** 2 + (ys - size / 2) ** 2) < radius**2).float()


def proposed(mask: torch.Tensor, count: int, taken: torch.Tensor | None = None) -> torch.Tensor:
    whole = box_of_mask(mask)
    assert whole is not None
    return propose(mask, whole.float(), count, taken)


def covered(mask: torch.Tensor, boxes: torch.Tensor) -> float:
    seen = torch.zeros_like(mask)
    for x1, y1, x2, y2 in boxes.round().long().clamp(min=0).tolist():
        seen[y1:y2, x1:x2] = 1
    return float((seen * mask).sum() / mask.sum())


def test_parts_cover_the_mask():
    boxes = proposed(disc(), 6)
    assert 2 <= len(boxes) <= 6
    assert covered(disc(), boxes) > 0.8


def test_each_part_adds_something():
    boxes = proposed(disc(), 6)
    for index in range(1, len(boxes)):
        assert covered(disc(), boxes[: index + 1]) > covered(disc(), boxes[:index]) + 0.05


def test_existing_parts_are_not_proposed_again():
    boxes = proposed(disc(), 6)
    assert len(proposed(disc(), 6, boxes)) <= 1
    again = proposed(disc(), 6, boxes[:1])
    assert covered(disc(), torch.cat([boxes[:1], again])) > 0.8


def test_nothing_to_propose():
    assert propose(torch.zeros(60, 60), torch.tensor([0.0, 0, 60, 60]), 4).shape == (0, 4)
    assert proposed(disc(), 0).shape == (0, 4)
    assert proposed(disc(16, 5), 4).shape == (0, 4)  # too small for detail


def test_a_speck_does_not_change_the_size_of_parts():
    mask = disc(192, 30)
    whole = box_of_mask(mask)
    assert whole is not None
    specked = mask.clone()
    specked[2:4, 188:190] = 1
    assert torch.equal(propose(specked, whole.float(), 6), propose(mask, whole.float(), 6))


def parts_at(boxes: list[list[float]], scores: list[float]) -> Parts:
    count = len(boxes)
    return Parts(
        torch.tensor(boxes),
        torch.zeros(count, 1, 8, 8),
        torch.zeros(count, 1, 4, 4),
        torch.tensor(scores),
        tuple(range(count)),
    )


def test_parts_grow_with_the_whole_object():
    parts = parts_at([[20.0, 20, 60, 60], [20, 20, 40, 40]], [0.9, 0.8])
    placed = parts.placed(torch.tensor([30.0, 30, 110, 110]))
    assert placed.boxes.tolist() == [[30, 30, 110, 110], [10, 10, 50, 50]]  # the tracker's place, twice the size
    assert placed.scores.tolist() == parts.scores.tolist()


def test_dissimilar_and_strayed_parts_are_unreliable():
    whole = [20.0, 20, 60, 60]
    parts = parts_at([whole, [20, 20, 40, 40], [30, 30, 50, 50], [100, 100, 120, 120]], [0.1, 0.9, 0.1, 0.9])
    assert unreliable(parts, torch.tensor(whole)) == [2, 3]


def test_parts_that_crowd_are_redundant():
    mask = disc()
    whole = [18.0, 18, 78, 78]
    left, again, right = [18.0, 30, 48, 60], [20.0, 31, 50, 61], [48.0, 30, 78, 60]
    parts = parts_at([whole, left, again, right], [0.9, 0.6, 0.8, 0.5])
    assert redundant(parts, mask) == [1]  # `again` shows the same and is more similar to its template
    assert redundant(parts.without([1]), mask) == []


def test_a_part_beside_the_mask_is_redundant():
    assert redundant(parts_at([[18.0, 18, 78, 78], [0, 0, 20, 20]], [0.9, 0.9]), disc()) == [1]


def test_what_crowding_parts_left_uncovered_is_covered_again():
    mask = disc()
    crowd = [[18.0 + shift, 30, 48 + shift, 60] for shift in range(6)]
    parts = parts_at([[18.0, 18, 78, 78], *crowd], [0.9] * 7)
    assert covered(mask, parts.boxes[1:]) < 0.7
    kept = parts.without(redundant(parts, mask))
    fresh = proposed(mask, 7 - len(kept), kept.boxes[1:])
    assert covered(mask, torch.cat([kept.boxes[1:], fresh])) > 0.8


@pytest.mark.parametrize(("side", "sizes"), [(40, [16, 16]), (60, [20, 16]), (100, [32, 16])])
def test_small_windows_get_fewer_cells(side: int, sizes: list[int]):
    boxes = torch.tensor([[10.0, 10, 10 + side, 10 + side], [10.0, 10, 10 + side / 2, 10 + side / 2]])
    assert roi_groups(boxes, largest=32) == [(slice(0, 1), sizes[0]), (slice(1, 2), sizes[1])]
    assert roi_groups(boxes[:1], largest=32) == [(slice(0, 1), sizes[0])]
