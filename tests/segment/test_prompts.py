"""Masks and boxes from users: label maps made from them, and refused input."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.segment.prompts import (
    Prompt,
    draw_prompts,
    highest_id,
    mask_in_box,
    parse_box,
    parse_mask,
    require_prompts,
)

SIZE = (90, 120)


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disk on noise of blue and green, and its mask."""
    noise = np.random.default_rng(0).integers(0, 90, (*SIZE, 3)).astype(np.uint8)
    y, x = np.ogrid[: SIZE[0], : SIZE[1]]
    disk = (x - 70) ** 2 + (y - 40) ** 2 < 20**2
    noise[..., 0] //= 4
    noise[disk] = noise[disk] // 4 + np.array([180, 20, 20], np.uint8)
    return noise, disk


def test_options_are_parsed():
    assert parse_mask("first.png") == Prompt(None, mask=Path("first.png"))
    assert parse_mask("40:late.png") == Prompt(40, mask=Path("late.png"))
    assert parse_mask("40:2=late.png") == Prompt(40, mask=Path("late.png"), object_id=2)
    assert parse_mask("2=a=b.png") == Prompt(None, mask=Path("a=b.png"), object_id=2)
    assert parse_mask("40:a\nb.png") == Prompt(40, mask=Path("a\nb.png"))
    assert parse_box("1,2,30.5,40") == Prompt(None, box=(1, 2, 30.5, 40))
    assert parse_box("7:1,2,30,40") == Prompt(7, box=(1, 2, 30, 40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2,3", "not a box"),
        ("a,b,c,d", "not a box"),
        *((text, "empty") for text in ("5,5,5,9", "9,9,1,1", "nan,0,9,9", "0,0,inf,9")),
    ],
)
def test_invalid_boxes_are_a_one_line_error(text: str, message: str):
    with pytest.raises(UserError, match=message):
        parse_box(text)


def test_grabcut_finds_the_object_in_its_box(scene: tuple[np.ndarray, np.ndarray]):
    image, disk = scene
    found = mask_in_box(image, (47, 17, 93, 63))
    assert (found & disk).sum() / (found | disk).sum() > 0.95
    np.testing.assert_array_equal(found, mask_in_box(image, (47, 17, 93, 63)))


@pytest.mark.parametrize("box", [(0.0, 0.0, 120.0, 90.0), (10.0, 60.0, 30.0, 85.0)])
def test_a_box_without_a_distinct_object_becomes_the_mask(box: tuple[float, float, float, float]):
    found = mask_in_box(np.full((*SIZE, 3), 90, np.uint8), box)
    x1, y1, x2, y2 = map(int, box)
    assert found[y1:y2, x1:x2].all()
    assert found.sum() == (x2 - x1) * (y2 - y1)


@pytest.mark.parametrize("box", [(5.0, 30.5, 115.0, 31.5), (0.0, 41.0, 120.0, 42.0)])
def test_a_box_too_thin_for_grabcut_becomes_the_mask(box: tuple[float, float, float, float]):
    image = np.random.default_rng(0).integers(0, 255, (90, 1800, 3)).astype(np.uint8)
    found = mask_in_box(image, (box[0], box[1], 15 * box[2], box[3]))
    assert found[int(box[1]), 50:1700].all()


def test_objects_of_boxes_get_the_next_free_ids(tmp_path: Path, scene: tuple[np.ndarray, np.ndarray]):
    labels = np.zeros(SIZE, np.uint8)
    labels[60:80, 10:30], labels[:5] = 3, 255
    write_labels(tmp_path / "first.png", labels)
    prompts = [Prompt(None, box=(47, 17, 93, 63)), Prompt(None, mask=tmp_path / "first.png")]
    drawn = draw_prompts(prompts, scene[0], 0)
    assert set(np.unique(drawn)) == {0, 3, 4}
    np.testing.assert_array_equal(drawn == 3, labels == 3)
    assert set(np.unique(draw_prompts(prompts[:1], scene[0], 8))) == {0, 9}


def test_white_is_the_object_in_a_palette_of_black_and_white(tmp_path: Path):
    grey = np.zeros(SIZE, np.uint8)
    grey[20:30, 40:60] = 255
    Image.fromarray(grey).convert("P").save(tmp_path / "web.png")  # white is not the first index
    image = Image.fromarray((grey == 0).astype(np.uint8), mode="P")
    image.putpalette([255, 255, 255, 0, 0, 0])
    image.save(tmp_path / "white_first.png")
    for name in ("web.png", "white_first.png"):
        prompt = Prompt(None, mask=tmp_path / name)
        require_prompts([prompt], SIZE, resize=False)
        np.testing.assert_array_equal(draw_prompts([prompt], np.zeros((*SIZE, 3), np.uint8), 0), grey // 255)


def test_an_id_applies_to_all_objects_of_a_mask(tmp_path: Path):
    labels = np.zeros(SIZE, np.uint8)
    labels[5:9, 5:9], labels[20:30, 40:60], labels[50:52] = 1, 2, 255
    write_labels(tmp_path / "two.png", labels)
    drawn = draw_prompts([parse_mask(f"6={tmp_path / 'two.png'}")], np.zeros((*SIZE, 3), np.uint8), 0)
    np.testing.assert_array_equal(drawn, np.where((labels == 1) | (labels == 2), 6, 0))


def stripe(number: int, top: int, bottom: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    labels[top:bottom] = number
    return labels


def test_duplicate_and_invalid_ids_are_refused(tmp_path: Path):
    for name, number, rows in (("a.png", 1, (0, 30)), ("b.png", 1, (30, 60)), ("last.png", 254, (60, 90))):
        write_labels(tmp_path / name, stripe(number, *rows))
    masks = [Prompt(None, mask=tmp_path / name) for name in ("a.png", "b.png")]
    with pytest.raises(UserError, match=r"b\.png: shows object 1, as does .*a\.png; .*--mask 2=.*b\.png$"):
        require_prompts(masks, SIZE, resize=False)
    write_labels(tmp_path / "second.png", stripe(2, 60, 90))
    late = [Prompt(40, mask=tmp_path / name) for name in ("a.png", "second.png", "b.png")]
    with pytest.raises(UserError, match=r"another id: --mask 40:3=.*b\.png$"):
        require_prompts(late, SIZE, resize=False)
    several = np.full(SIZE, 1, np.uint8)
    several[:9] = 5
    write_labels(tmp_path / "several.png", several)
    with pytest.raises(UserError, match=r"give it another id$"):
        require_prompts([masks[0], Prompt(None, mask=tmp_path / "several.png")], SIZE, resize=False)
    require_prompts([masks[0], parse_mask(f"2={tmp_path / 'b.png'}")], SIZE, resize=False)
    for text in ("0=a.png", "255=a.png"):
        with pytest.raises(UserError, match="not a valid object id"):
            parse_mask(text)
    crowded = [Prompt(None, mask=tmp_path / "last.png"), Prompt(None, box=(1, 1, 9, 9))]
    with pytest.raises(UserError, match="no object id is left"):
        draw_prompts(crowded, np.zeros((*SIZE, 3), np.uint8), 0)


def test_completely_covered_objects_are_refused(tmp_path: Path):
    for name, rows in (("small.png", (10, 20)), ("large.png", (5, 40))):
        write_labels(tmp_path / name, stripe(1, *rows))
    small, large = (parse_mask(f"{number}={tmp_path / name}") for number, name in ((1, "small.png"), (2, "large.png")))
    require_prompts([large, small], SIZE, resize=False)
    with pytest.raises(UserError, match=r"small\.png: its object 1 is completely covered by another"):
        require_prompts([small, large], SIZE, resize=False)
    image, box = np.full((*SIZE, 3), 90, np.uint8), Prompt(None, box=(0, 5, 120, 40))
    with pytest.raises(UserError, match=r"small\.png: its object 1 is completely covered"):
        draw_prompts([small, box], image, 0)
    with pytest.raises(UserError, match=r"--box 0,5,120,40: its object 1 is completely covered"):
        draw_prompts([box, box], image, 0)


def test_objects_that_vanish_in_resizing_are_refused(tmp_path: Path):
    labels = np.zeros((900, 1200), np.uint8)
    labels[100:800, 100:600], labels[3, 3] = 1, 2
    write_labels(tmp_path / "speck.png", labels)
    with pytest.raises(UserError, match=r"speck\.png: object 2 vanishes when the mask is resized to 120x90 pixels"):
        require_prompts([parse_mask(str(tmp_path / "speck.png"))], SIZE, resize=True)


def test_a_palette_must_start_with_black(tmp_path: Path):
    coloured = np.zeros((*SIZE, 3), np.uint8)
    coloured[20:30, 40:60], coloured[50:60, 40:60] = (0, 200, 0), (200, 0, 0)
    Image.fromarray(coloured).quantize(4).save(tmp_path / "sorted.png")  # sorted by brightness
    with pytest.raises(UserError, match=r"sorted\.png: the first palette colour, .*, is not black"):
        require_prompts([parse_mask(str(tmp_path / "sorted.png"))], SIZE, resize=False)


def test_the_highest_id_over_all_frames(tmp_path: Path):
    write_labels(tmp_path / "late.png", stripe(5, 0, 9))
    box, late = Prompt(2, box=(1, 1, 9, 9)), Prompt(6, mask=tmp_path / "late.png")
    assert highest_id([box, late]) == 5
    assert highest_id([box, replace(late, object_id=7)]) == 7
    assert highest_id([box]) == 0


def test_a_mask_of_another_size_is_resized_on_request(tmp_path: Path, scene: tuple[np.ndarray, np.ndarray]):
    Image.fromarray(np.kron(np.eye(3), np.ones((10, 10))).astype(np.uint8) * 255).save(tmp_path / "small.png")
    prompt = Prompt(None, mask=tmp_path / "small.png")
    with pytest.raises(UserError, match=r"small\.png: mask of 30x30 pixels on frames of 120x90.*--resize"):
        require_prompts([prompt], SIZE, resize=False)
    require_prompts([prompt], SIZE, resize=True)
    drawn = draw_prompts([prompt], scene[0], 0)
    assert drawn[:29, :39].all()
    assert not drawn[31:59, :39].any()


def test_unusable_prompts_are_a_one_line_error(tmp_path: Path):
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(tmp_path / "black.png")
    for prompt, message in (
        (Prompt(None, mask=tmp_path / "black.png"), r"black\.png: shows no object"),
        (Prompt(None, mask=tmp_path / "absent.png"), r"--mask .*absent\.png: no such file"),
        (Prompt(None, box=(5, 5, 121, 20)), "5,5,121,20: reaches outside the frames of 120x90"),
    ):
        with pytest.raises(UserError, match=message):
            require_prompts([prompt], SIZE, resize=False)
