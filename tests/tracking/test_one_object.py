"""The step of one object: the same in training and inference, and what it does with a lost object."""

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from partprop.model import network as network_module
from partprop.model.backbone.imagenet import normalise
from partprop.model.features import Features
from partprop.model.network import Network
from partprop.model.readout import Memory
from partprop.model.windows import whole_window
from partprop.tracking.one_object import Given, Merged, Moved, ObjectStep, Reading, Track
from partprop.tracking.places import with_room
from partprop.tracking.settings import Budget, Settings
from tiny import confident_network

SIZE = (96, 128)
SETTINGS = Settings(short_side=96, parts=2, lost_score=0.5, memory_every=2)
ALONE = Budget.share(SETTINGS, 1)


@pytest.fixture(scope="module")
def network() -> Network:
    return confident_network()


def scene(shift: int = 0) -> np.ndarray:
    """Smooth noise, shifted to the right."""
    coarse = np.random.default_rng(3).integers(0, 255, (12, 16, 3), np.uint8)
    return np.roll(cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_CUBIC), shift, 1)


def mask() -> torch.Tensor:
    """A large object: its window, 1.5 times its box, is the whole frame."""
    shape = torch.zeros(SIZE)
    shape[8:88, 16:112] = 1
    return shape


def encode(network: Network, image: np.ndarray) -> Features:
    with torch.inference_mode():
        return network.encode(normalise(image)[None])


def begin(network: Network, features: Features, budget: Budget = ALONE) -> Track:
    with torch.inference_mode():
        return ObjectStep(network, SETTINGS, budget, None, features).begin(Given(1, mask(), 1))


def advance(
    network: Network, track: Track, previous: Features, current: Features, settings: Settings = SETTINGS
) -> tuple[Moved, Track]:
    """Move one object and remember it as the only one."""
    step = ObjectStep(network, settings, ALONE, previous, current)
    with torch.inference_mode():
        moved = step.move(step.look(track))
        won = (moved.probability > 0.5).float()
        return moved, step.remember(Merged(moved.track, moved.probability, won))


def test_training_and_inference_take_the_same_step(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """`Network.forward` and `ObjectStep` find equal masks on a clip where nothing is disturbed, lost or merged.

    Each carries its own mask on. What inference has beside the step is left out: parts that are renewed, a history of
    earlier frames, cells of the reference that are merged far from the object.
    """
    monkeypatch.setattr(network_module, "MASK_STRIDE", 1)  # training carries masks at stride 2 to save memory
    frames = [encode(network, scene(shift)) for shift in range(0, 9, 3)]
    budget = Budget(parts=0, radius=None, history=0)
    track, found, boxes = begin(network, frames[0], budget), [], []
    boxes.append(track.parts.boxes)
    for previous, current in pairwise(frames):
        step = ObjectStep(network, replace(SETTINGS, lost_score=0.0), budget, previous, current)
        with torch.inference_mode():
            looked = step.look(track)
            assert isinstance(looked, Reading)
            assert looked.correlated.window == whole_window(current.grid)  # else pixels outside are background
            looked = replace(looked, parts=looked.parts.moved(looked.parts.boxes, torch.ones(1)))  # similarity 1
            moved = step.move(looked)
        found.append(moved.probability)
        boxes.append(with_room(moved.track.parts.boxes, track.size))
        track = replace(moved.track, mask=moved.probability)  # neither merged nor remembered

    images = torch.stack([normalise(scene(shift)) for shift in range(0, 9, 3)])[None]
    windows = torch.stack(boxes)[None]
    with torch.inference_mode():
        outputs = network(images, mask()[None, None], windows, windows, torch.ones(1, len(frames)))
    for ours, output in zip(found, outputs, strict=True):
        assert 0.05 < (ours > 0.5).float().mean() < 0.95
        torch.testing.assert_close(ours, output.joined[0, 0], atol=1e-5, rtol=0)


def test_a_recent_frame_joins_the_memory_every_other_frame(network: Network) -> None:
    frames = [encode(network, scene(shift)) for shift in range(3)]
    track = begin(network, frames[0])
    _, track = advance(network, track, frames[0], frames[1])
    assert track.memory is track.reference
    _, track = advance(network, track, frames[1], frames[2])
    assert pixels(track.memory) > pixels(track.reference)


def pixels(memory: Memory) -> int:
    return memory.mask.shape[1]


def test_an_object_below_the_lost_score_is_lost_and_has_no_mask(network: Network) -> None:
    frames = [encode(network, scene(shift)) for shift in range(2)]
    sure = replace(SETTINGS, lost_score=1.0)
    moved, track = advance(network, begin(network, frames[0]), frames[0], frames[1], sure)
    assert moved.track.lost
    assert track.lost
    assert not moved.probability.any()


def test_an_occluded_object_is_lost(network: Network) -> None:
    """Its mask is there, but it wins no pixel."""
    frames = [encode(network, scene(shift)) for shift in range(2)]
    step = ObjectStep(network, SETTINGS, ALONE, frames[0], frames[1])
    with torch.inference_mode():
        moved = step.move(step.look(begin(network, frames[0])))
        assert not moved.track.lost
        assert step.remember(Merged(moved.track, moved.probability, torch.zeros(SIZE))).lost


def lost(network: Network, frames: list[Features]) -> Track:
    """A track with a recent memory and a history that then is lost."""
    track = begin(network, frames[0])
    for previous, current in pairwise(frames):
        _, track = advance(network, track, previous, current)
    assert track.earlier
    step = ObjectStep(network, SETTINGS, ALONE, frames[-2], frames[-1])
    with torch.inference_mode():
        return step.remember(Merged(replace(track, lost=True), torch.zeros(SIZE), torch.zeros(SIZE)))


def test_a_lost_object_is_found_by_its_reference_alone(network: Network) -> None:
    frames = [encode(network, scene()) for _ in range(3)]
    track = lost(network, frames)
    assert track.earlier == ()
    assert pixels(track.memory) > pixels(track.reference)
    moved, track = advance(network, track, frames[0], frames[1])
    assert not track.lost
    assert track.memory is track.reference  # the recent frame may show a distractor
    assert track.earlier == ()  # a frame without the object has no contour of it
    union = ((moved.probability > 0.5) | (mask() > 0.5)).sum()
    assert ((moved.probability > 0.5) & (mask() > 0.5)).sum() / union > 0.6


def test_a_lost_object_stays_lost_where_it_is_not(network: Network) -> None:
    frames = [encode(network, scene()) for _ in range(3)]
    grey = encode(network, np.full_like(scene(), 120))
    moved, track = advance(network, lost(network, frames), frames[-1], grey)
    assert track.lost
    assert not moved.probability.any()
