"""Proposing and dropping parts."""

import torch

from partprop.tracking.parts import Parts, propose, unreliable


def disc(size: int = 96, radius: int = 30) -> torch.Tensor:
    ys, xs = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return (((xs - size / 2) ** 2 + (ys - size / 2) ** 2) < radius**2).float()


def covered(mask: torch.Tensor, boxes: torch.Tensor) -> float:
    seen = torch.zeros_like(mask)
    for x1, y1, x2, y2 in boxes.round().long().clamp(min=0).tolist():
        seen[y1:y2, x1:x2] = 1
    return float((seen * mask).sum() / mask.sum())


def test_parts_cover_the_mask():
    boxes = propose(disc(), 6)
    assert 2 <= len(boxes) <= 6
    assert covered(disc(), boxes) > 0.8


def test_each_part_adds_something():
    boxes = propose(disc(), 6)
    for index in range(1, len(boxes)):
        assert covered(disc(), boxes[: index + 1]) > covered(disc(), boxes[:index]) + 0.05


def test_existing_parts_are_not_proposed_again():
    boxes = propose(disc(), 6)
    assert len(propose(disc(), 6, boxes)) <= 1
    again = propose(disc(), 6, boxes[:1])
    assert covered(disc(), torch.cat([boxes[:1], again])) > 0.8


def test_nothing_to_propose():
    assert propose(torch.zeros(20, 20), 4).shape == (0, 4)
    assert propose(disc(), 0).shape == (0, 4)
    assert propose(disc(16, 5), 4).shape == (0, 4)  # too small for detail


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
