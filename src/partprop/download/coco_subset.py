"""A seeded choice of COCO's images from the official host: its annotations, and each image by its own address."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock

from partprop.base.cache import cache_folder
from partprop.base.disk import os_errors_as_user_errors
from partprop.base.errors import DiskFullError, UserError
from partprop.base.files import atomic_folder, write_json
from partprop.base.progress import count_bar
from partprop.download.http import fetch
from partprop.download.layouts import COCO, COCO_HOST

T = TypeVar("T")

SEED = 1  # of the choice: the same images for everyone
VALIDATION_SHARE = 1 / 6  # of the images, from val2017
CONNECTIONS = 8
IMAGE_BYTES = 165_000  # of an image of COCO, on average


def download_subset(images: int, target: Path, check: Callable[[Path], T]) -> T:
    """Put `images` images of the official COCO and their annotations into `target`, once complete and checked.

    Annotations and received images stay in the cache folder until then, so that a killed stage resumes.

    Args:
        images: number in both splits together, a sixth of them from val2017.
        target: the folder to replace.
        check: opens the data set in a folder and returns a summary, or raises UserError.

    Raises:
        UserError: the host refuses, a file is corrupt, or the disk is full.
    """
    cache = cache_folder() / "downloads" / f"coco-{hashlib.sha256(COCO_HOST.encode()).hexdigest()[:16]}-{images}"
    with os_errors_as_user_errors(target.parent):
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache.with_suffix(".lock")), atomic_folder(target) as folder:
            try:
                _fetch_annotations(cache)
                for split, content in choose(cache, images):
                    _fetch_images(split, content, cache)
                    shutil.copytree(cache / split, folder / split)
                    write_json(folder / "annotations" / f"instances_{split}.json", content)
                summary = check(folder)
            except DiskFullError:
                raise
            except UserError as error:  # name the images that stay, not those of the temporary folder
                raise UserError(str(error).replace(f"{folder}/", f"{cache}/")) from None
        shutil.rmtree(cache)
    return summary


def subset_size(images: int) -> int:
    """Bytes to download for `images` images, roughly."""
    return (COCO.official[0].size or 0) + images * IMAGE_BYTES


def choose(folder: Path, images: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each split's name and its instances file, reduced to the images that are chosen.

    Args:
        folder: holds COCO's archive of annotations.
        images: number in both splits together.

    Raises:
        UserError: the archive is corrupt.
    """
    validation = max(1, round(images * VALIDATION_SHARE))
    for split, count in (("train2017", max(1, images - validation)), ("val2017", validation)):
        content = _read_annotations(folder / COCO.official[0].name, f"annotations/instances_{split}.json")
        annotated = sorted({annotation["image_id"] for annotation in content["annotations"]})
        chosen = set(np.random.default_rng(SEED).permutation(annotated)[:count].tolist())
        content["images"] = [image for image in content["images"] if image["id"] in chosen]
        content["annotations"] = [each for each in content["annotations"] if each["image_id"] in chosen]
        yield split, content


def _fetch_annotations(cache: Path) -> None:
    archive = COCO.official[0]
    fetch(archive.url, cache / archive.name, archive.size, archive.sha256)


def _read_annotations(archive: Path, member: str) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(archive) as opened:
            return json.loads(opened.read(member))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise UserError(f"{archive}: corrupt archive ({error}); delete it and run again") from None


def _fetch_images(split: str, content: dict[str, Any], cache: Path) -> None:
    names = [image["file_name"] for image in content["images"]]

    def fetch_one(name: str) -> None:
        fetch(f"{COCO_HOST}/{split}/{name}", cache / split / name, show=False)

    with ThreadPoolExecutor(CONNECTIONS) as pool, count_bar(f"images of {split}", len(names)) as advance:
        for _ in pool.map(fetch_one, names):
            advance(1)
