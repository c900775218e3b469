"""Still images beside their masks are read with the categories of their objects."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partprop.base.errors import UserError
from partprop.data.stills import StillImages, open_stills, read_mask

INDEX = "group,name,width,height,objects,categories\n"


def write_pair(folder: Path, name: str, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", labels.shape[::-1], (90, 60, 30)).save(folder / f"{name}.jpg")
    Image.fromarray(labels).save(folder / f"{name}.png")


def two_objects() -> np.ndarray:
    labels = np.zeros((24, 32), np.uint8)
    labels[2:8, 2:8], labels[10:20, 10:30], labels[8:10] = 1, 2, 255
    return labels


@pytest.fixture
def stills(tmp_path: Path) -> StillImages:
    write_pair(tmp_path / "animals", "a.1", two_objects())
    write_pair(tmp_path / "fss/deep/down", "b", np.uint8(255) * (two_objects() == 1))
    (tmp_path / "index.csv").write_text(f"{INDEX}animals,a.1,32,24,2,dog rhesus-monkey\n")
    return open_stills(tmp_path)


def test_objects_have_masks_and_categories_and_void_belongs_to_none(stills: StillImages) -> None:
    first, second = stills.instances(0)
    assert (first.category, second.category) == ("dog", "rhesus-monkey")
    np.testing.assert_array_equal(first.mask, two_objects() == 1)
    np.testing.assert_array_equal(second.mask, two_objects() == 2)
    assert stills.categories_in(0) == ("dog", "rhesus-monkey")
    assert stills.image(0).shape == (24, 32, 3)


def test_images_of_any_depth_are_found_and_need_no_categories(stills: StillImages) -> None:
    assert len(stills) == 2
    (only,) = stills.instances(1)
    assert only.category is None
    np.testing.assert_array_equal(only.mask, two_objects() == 1)
    assert stills.categories_in(1) == ()


def test_an_empty_or_missing_folder_has_no_images(tmp_path: Path) -> None:
    assert len(open_stills(tmp_path)) == len(open_stills(tmp_path / "absent")) == 0


def test_soft_edges_are_cut_at_one_half(tmp_path: Path) -> None:
    values = np.array([[0, 1, 127, 128], [254, 255, 200, 3]], np.uint8)
    Image.fromarray(values).save(tmp_path / "soft.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "soft.png"), values >= 128)


def test_another_size_or_number_of_objects_is_one_line(tmp_path: Path) -> None:
    write_pair(tmp_path / "s", "a", two_objects())
    Image.new("RGB", (10, 10)).save(tmp_path / "s/a.jpg")
    with pytest.raises(UserError, match=r"a\.jpg: image of 10x10 pixels, mask of 32x24; resize one"):
        open_stills(tmp_path).instances(0)
    write_pair(tmp_path / "s", "a", two_objects())
    (tmp_path / "index.csv").write_text(f"{INDEX}s,a,32,24,1,dog\n")
    with pytest.raises(UserError, match=r"index\.csv: a has 1 categories, its mask 2 objects"):
        open_stills(tmp_path).instances(0)


def test_an_index_without_its_columns_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("group,name\ns,a\n")
    with pytest.raises(UserError, match=r"index\.csv: expected the columns group,name,categories"):
        open_stills(tmp_path)


@pytest.mark.parametrize("row", ["s,a,32,24,2,", "s,a"])
def test_a_row_without_categories_leaves_them_unknown(tmp_path: Path, row: str) -> None:
    write_pair(tmp_path / "s", "a", two_objects())
    (tmp_path / "index.csv").write_text(f"{INDEX}{row}\n")
    assert [instance.category for instance in open_stills(tmp_path).instances(0)] == [None, None]


def test_an_underscore_stands_for_a_blank(tmp_path: Path) -> None:
    write_pair(tmp_path / "s", "a", two_objects())
    (tmp_path / "index.csv").write_text(f"{INDEX}s,a,32,24,2,teddy_bear dog\n")
    assert open_stills(tmp_path).categories_in(0) == ("teddy bear", "dog")
