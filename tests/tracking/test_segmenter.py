"""The online loop on frames whose answer is known."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from partprop.base.errors import UserError
from partprop.model.backbone.imagenet import imagenet_weights, initialise_backbone
from partprop.model.building import build_network
from partprop.model.network import Network
from partprop.tracking.one_object import RADIUS_OF_SEVERAL
from partprop.tracking.result import Result
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings

SETTINGS = Settings(short_side=96, parts=3, lost_score=0.0, memory_every=2)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_network("lite0", 16, 16, 8, 16).eval()


def frame(seed: int = 0, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


def labels(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    ids = np.zeros(size, np.uint8)
    ids[20:60, 30:70] = 1
    ids[50:90, 80:120] = 7
    ids[:4, :4] = 255
    return ids


def test_first_result_is_the_given_mask(network: Network):
    result = Segmenter(network, SETTINGS).start(frame(), labels())
    expected = np.where(labels() == 255, 0, labels())
    np.testing.assert_array_equal(result.labels, expected)
    whole = {part.object_id: part.box for part in result.boxes if part.part == 0}
    assert whole[1] == pytest.approx((30, 20, 70, 60))
    assert whole[7] == pytest.approx((80, 50, 120, 90))


def test_results_say_how_sure_they_are(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    first = segmenter.start(frame(), labels())
    assert first.confidence == {1: 1.0, 7: 1.0}
    for number, probability in first.probabilities.items():
        np.testing.assert_array_equal(probability, labels() == number)
    result = segmenter.step(frame(1))
    assert set(result.confidence) == set(result.probabilities) == {1, 7}
    for number, probability in result.probabilities.items():
        assert probability.shape == (96, 128)
        assert probability.min() >= 0
        assert probability.max() <= 1
        assert (probability[result.labels == number] > 0.3).all()


def test_an_object_that_appears_later_is_followed_beside_the_others(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), np.where(labels() == 1, 1, 0).astype(np.uint8))
    late = np.where(labels() == 7, 7, 0).astype(np.uint8)
    result = segmenter.step(frame(1), late)
    np.testing.assert_array_equal(result.labels == 7, late == 7)
    assert set(segmenter.step(frame(2)).confidence) == {1, 7}


def test_several_objects_share_the_parts(network: Network):
    segmenter = Segmenter(network, replace(SETTINGS, parts=4))
    alone = segmenter.start(frame(), np.where(labels() == 1, 1, 0).astype(np.uint8))
    assert parts_of(alone, 1) == 4
    both = segmenter.step(frame(), np.where(labels() == 7, 7, 0).astype(np.uint8))
    assert parts_of(both, 1) == parts_of(both, 7) == 2
    more = segmenter.step(frame(), np.where(labels() == 255, 9, 0).astype(np.uint8))
    assert parts_of(more, 1) == parts_of(more, 7) == 2  # fewer show nothing of an object's parts


def test_several_objects_are_looked_for_less_far_from_their_last_places(
    network: Network, monkeypatch: pytest.MonkeyPatch
):
    plain, reaches = network.correlate, []
    monkeypatch.setattr(network, "correlate", lambda *known: reaches.append(known[-1]) or plain(*known))
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), np.where(labels() == 1, 1, 0).astype(np.uint8))
    segmenter.step(frame(1))
    segmenter.step(frame(2), np.where(labels() == 7, 7, 0).astype(np.uint8))
    segmenter.step(frame(3))
    alone, *several = reaches
    assert alone is None
    assert several == [RADIUS_OF_SEVERAL] * 3
    assert network.correlation.radius > RADIUS_OF_SEVERAL


def test_objects_side_by_side_come_out_as_one_by_one(network: Network):
    before, results, given = torch.get_num_threads(), {}, labels()
    given[60:90, 5:30] = 9
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            segmenter = Segmenter(network, SETTINGS)
            segmenter.start(frame(), given)
            results[threads] = [segmenter.step(frame(number)) for number in range(3)]
    finally:
        torch.set_num_threads(before)
    for alone, beside in zip(results[1], results[2], strict=True):
        assert len(alone.probabilities) == 3
        for number, probability in alone.probabilities.items():
            np.testing.assert_allclose(beside.probabilities[number], probability, atol=1e-3)
        for ours, theirs in zip(beside.boxes, alone.boxes, strict=True):
            assert (ours.object_id, ours.part) == (theirs.object_id, theirs.part)
            assert ours.box == pytest.approx(theirs.box, abs=0.1)
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)


def test_what_is_far_from_all_objects_is_not_looked_at(network: Network):
    size, results = (96, 512), []
    for noise in (5, 6):
        segmenter = Segmenter(network, SETTINGS)
        segmenter.start(frame(0, size), np.pad(labels(), ((0, 0), (0, size[1] - 128))))
        later = frame(1, size)
        later[:, 300:] = frame(noise, size)[:, 300:]
        results.append(segmenter.step(later))
    for number, probability in results[0].probabilities.items():
        np.testing.assert_array_equal(probability, results[1].probabilities[number])


def parts_of(result: Result, object_id: int) -> int:
    return sum(part.object_id == object_id and part.part > 0 for part in result.boxes)


def test_a_correction_is_what_is_followed_from_there_on(network: Network):
    corrected, begun = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    corrected.start(frame(), labels())
    corrected.step(frame(1))
    moved = np.roll(labels(), (5, -9), (0, 1))
    for ours, theirs in (
        (corrected.step(frame(2), moved), begun.start(frame(2), moved)),
        (corrected.step(frame(3)), begun.step(frame(3))),
    ):
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert [(box.object_id, box.box, box.score) for box in ours.boxes] == [
            (box.object_id, box.box, box.score) for box in theirs.boxes
        ]


def test_parts_of_a_correction_are_others_than_those_before(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    before = {box.part for box in segmenter.start(frame(), labels()).boxes if box.object_id == 1}
    after = {box.part for box in segmenter.step(frame(1), labels()).boxes if box.object_id == 1}
    assert before & after == {0}
    assert len(after) > 1


def test_a_correction_too_small_to_be_seen_is_of_its_frame_alone(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    large, speck = (cv2.resize(labels(), (256, 192), interpolation=cv2.INTER_NEAREST), np.zeros((192, 256), np.uint8))
    speck[4, 9] = 7
    segmenter.start(frame(size=(192, 256)), large)
    result = segmenter.step(frame(1, (192, 256)), speck)
    assert result.confidence[7] == 0
    assert {box.object_id for box in result.boxes} == {1}
    np.testing.assert_array_equal(result.labels == 7, speck == 7)
    assert segmenter.step(frame(2, (192, 256))).confidence[7] > 0


def test_frames_of_opencv_may_be_turned_to_rgb_by_a_view(network: Network):
    views, copies = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    for number in range(2):
        turned = frame(number)[..., ::-1]  # at the working resolution, so that nothing is resized
        given = labels() if number == 0 else None
        ours, theirs = views.step(turned, given), copies.step(turned.copy(), given)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


@pytest.mark.parametrize("size", [(190, 251), (64, 85), (20, 200)])
def test_labels_have_the_inputs_size_and_known_ids(network: Network, size: tuple[int, int]):
    segmenter = Segmenter(network, SETTINGS)
    given = cv2.resize(labels(), size[::-1], interpolation=cv2.INTER_NEAREST)
    segmenter.start(frame(size=size), given)
    for seed in range(1, 4):
        result = segmenter.step(frame(seed, size))
        assert result.labels.shape == size
        assert result.labels.dtype == np.uint8
        assert set(np.unique(result.labels)) <= {0, 1, 7}


@pytest.mark.parametrize(
    ("size", "cells"), [((192, 256), (12, 16)), ((96, 128), (12, 16)), ((64, 85), (12, 16)), ((20, 200), (8, 52))]
)
def test_frames_are_brought_to_the_working_resolution(network: Network, size: tuple[int, int], cells: tuple[int, int]):
    """A shorter side of 96, but at most twice the frame's; in cells of stride 8, padded to multiples of 32 pixels."""
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(size=size), cv2.resize(labels(), size[::-1], interpolation=cv2.INTER_NEAREST))
    assert segmenter._before.keys.shape[2:] == cells


@pytest.mark.parametrize(
    ("image", "masks", "message"),
    [
        (frame(), labels((48, 64)), r"masks of 64x48 pixels on a frame of 128x96; resize them: cv2\.resize"),
        (frame(), labels().astype(np.int64), r"masks are int64 \(96, 128\); give uint8"),
        (frame()[..., 0], labels(), r"a frame is uint8 \(96, 128\); give uint8 \(height, width, 3\)"),
        (frame().astype(np.float32), labels(), "a frame is float32"),
        (frame(size=(0, 0)), labels((0, 0)), r"a frame is uint8 \(0, 0, 3\)"),
        (frame(), np.where(labels() == 1, 255, 0).astype(np.uint8), "nothing but 0 and 255, which is void"),
        (frame(), None, "masks are None; start with those of the objects"),
        (frame().tolist(), labels(), "a frame: list is no NumPy array"),
        (None, labels(), "a frame: NoneType is no NumPy array"),  # of OpenCV's read() at the end of a video
    ],
)
def test_other_arrays_are_one_line(network: Network, image: np.ndarray, masks: np.ndarray, message: str):
    with pytest.raises(UserError, match=message):
        Segmenter(network, SETTINGS).start(image, masks)


def test_a_frame_of_another_size_is_one_line(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), labels())
    with pytest.raises(UserError, match="64x96 follows others of 128x96"):
        segmenter.step(frame(size=(96, 64)))
    segmenter.start(frame(size=(96, 64)), labels((96, 64)))  # another video


def test_two_segmenters_do_not_disturb_each_other(network: Network):
    def alone() -> list[np.ndarray]:
        segmenter = Segmenter(network, SETTINGS)
        segmenter.start(frame(), labels())
        return [segmenter.step(frame(seed)).labels for seed in (1, 2)]

    first, second = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    first.start(frame(), labels())
    second.start(frame(9), labels()[:, ::-1].copy())
    together = []
    for seed in (1, 2):
        together.append(first.step(frame(seed)).labels)
        second.step(frame(seed + 10))
    for ours, theirs in zip(together, alone(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_state_does_not_grow(network: Network):
    def tensors(segmenter: Segmenter) -> int:
        features, tracks = vars(segmenter._before).values(), segmenter._tracks
        memories = [tracked.reference for tracked in tracks]
        recent.append(max(len(tracked.memory.mask[0]) - len(tracked.reference.mask[0]) for tracked in tracks))
        return sum(map(torch.numel, features)) + sum(memory.keys.numel() + memory.values.numel() for memory in memories)

    recent: list[int] = []

    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), labels())
    sizes, parts = [tensors(segmenter)], []
    assert recent == [0]
    for step in range(1, 13):
        segmenter.step(frame(step % 3))
        sizes.append(tensors(segmenter))
        parts.append(max(len(tracked.parts) for tracked in segmenter._tracks))
    assert len(set(sizes)) == 1
    assert 0 < max(recent) <= 12 * 16  # no more than one frame at stride 8
    assert max(parts) <= SETTINGS.parts + 1


def test_of_objects_in_one_place_the_likelier_is_seen(network: Network, monkeypatch: pytest.MonkeyPatch):
    """All claim the same pixels, so that none is likelier than not; those that win none are lost."""
    given = labels()
    given[70:90, 5:25] = 9
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), given)
    claims, claimed = {1: 0.85, 7: 0.9, 9: 0.8}, torch.from_numpy((given == 1).astype(np.float32))
    monkeypatch.setattr(segmenter._follower, "move", lambda tracked, *_: (tracked, claims[tracked.object_id] * claimed))
    result = segmenter.step(frame(1))
    assert 0.4 < result.probabilities[7].max() < 0.5
    np.testing.assert_array_equal(result.labels, np.where(given == 1, 7, 0))
    assert {box.object_id for box in result.boxes} == {7}
    assert next(box.box for box in result.boxes if box.part == 0) == pytest.approx((30, 20, 70, 60))
    assert result.confidence[7] > 0
    assert result.confidence[1] == result.confidence[9] == 0


def test_certain_absence_is_an_empty_mask(network: Network):
    sure = Settings(short_side=96, parts=2, lost_score=1.0, memory_every=2)
    segmenter = Segmenter(network, sure)
    segmenter.start(frame(), labels())
    result = segmenter.step(frame(1))
    assert result.labels.max() == 0
    assert result.boxes == []


def test_an_object_that_vanished_is_found_again():
    """By correlation with the reference alone, on ImageNet's features, in a decoder that is always sure."""
    torch.manual_seed(0)
    network = build_network("lite0", 16, 32, 8, 16).eval()
    backbone = initialise_backbone("lite0", imagenet_weights("lite0", "imagenet"))
    network.pyramid.backbone.load_state_dict(backbone.state_dict())
    torch.nn.init.constant_(network.decoder.presence.bias, 6.0)
    network.correlation.prior_weights.data = torch.tensor([1.0, 0.0, 0.0, 0.0])
    scene = cv2.resize(frame(size=(12, 16)), (128, 96), interpolation=cv2.INTER_CUBIC)
    mask = labels() == 1
    segmenter = Segmenter(network, Settings(short_side=96, parts=2, lost_score=0.5, memory_every=2))
    segmenter.start(scene, mask.astype(np.uint8))
    for _ in range(2):
        segmenter.step(scene)
    assert segmenter._tracks[0].memory is not segmenter._tracks[0].reference
    for _ in range(2):
        gone = segmenter.step(np.full_like(scene, 120))
        assert not gone.labels.any()
        assert gone.boxes == []
    found = segmenter.step(scene)
    assert (mask & (found.labels == 1)).sum() / (mask | (found.labels == 1)).sum() > 0.6
    assert [box.part for box in found.boxes][:1] == [0]
    assert segmenter._tracks[0].earlier == ()  # frames without the object would speak against it
    assert segmenter._tracks[0].memory is segmenter._tracks[0].reference  # what it was lost to is forgotten


def test_nothing_is_computed_before_an_object_is_shown(network: Network, monkeypatch: pytest.MonkeyPatch):
    segmenter = Segmenter(network, SETTINGS)
    with monkeypatch.context() as without:
        without.setattr(segmenter, "_encode", None)
        result = segmenter.step(frame())
    assert not result.labels.any()
    assert segmenter.step(frame(), labels()).labels.any()


def test_no_object_gives_background(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), np.zeros((96, 128), np.uint8))
    assert segmenter.step(frame(1)).labels.max() == 0
