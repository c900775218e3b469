"""Checks that read a whole data set, so that a broken file fails the download stage and not the training."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from partprop.base.errors import UserError
from partprop.data.coco import CocoImages, open_coco
from partprop.data.images import decoded_size
from partprop.data.stills import (
    IMAGE_SUFFIXES,
    INDEX,
    MASK_SUFFIX,
    StillImages,
    files_in,
    key_of,
    open_stills,
    read_index,
)
from partprop.data.video import MIN_ANNOTATED_FRAMES, Video, open_davis


@dataclass(frozen=True)
class CocoCounts:
    """Number of images in both splits, and of their instances, including crowds."""

    images: int
    instances: int


@dataclass(frozen=True)
class DavisCounts:
    """Number of sequences in both splits, and of their frames."""

    sequences: int
    frames: int


@dataclass(frozen=True)
class StillCounts:
    """Number of still images, of their objects, and one line for each pair that was left out."""

    images: int
    objects: int
    left_out: tuple[str, ...]


def check_coco(root: Path) -> CocoCounts:
    """Read every image and every mask of train2017 and val2017.

    Raises:
        UserError: something is missing, corrupt or inconsistent, or the splits have different categories.
    """
    splits = [open_coco(root, split) for split in ("train2017", "val2017")]
    first, second = splits
    if (first.category_ids, first.categories) != (second.category_ids, second.categories):
        raise UserError(
            f"{second.annotation_file}: its categories differ from {first.annotation_file.name}; make the lists equal"
        )
    images = instances = 0
    for data in splits:
        images += len(data)
        with ThreadPoolExecutor() as pool:
            instances += sum(pool.map(partial(_check_image, data), range(len(data))))
    return CocoCounts(images, instances)


def check_davis(root: Path, year: int) -> DavisCounts:
    """Read every frame and every mask of the splits train and val.

    Raises:
        UserError: something is missing, corrupt or inconsistent, or a sequence is in both splits.
    """
    train, val = (open_davis(root, split, year) for split in ("train", "val"))
    both = sorted({sequence.name for sequence in train} & {sequence.name for sequence in val})
    if both:
        raise UserError(f"{root}: {', '.join(both)} in both train.txt and val.txt; remove it from one of them")
    sequences = train + val
    with ThreadPoolExecutor() as pool:
        frames = sum(pool.map(_check_sequence, sequences))
    return DavisCounts(len(sequences), frames)


def check_stills(root: Path) -> StillCounts:
    """Read every image and mask of a folder of still images, and delete the pairs that cannot be used.

    Raises:
        UserError: no pair is left, or index.csv is unreadable.
    """
    stills = open_stills(root)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(partial(_check_still, stills), range(len(stills))))
    left_out = [count for count in found if isinstance(count, str)]
    left_out += [
        f"{mask}: mask without an image ({' or '.join(IMAGE_SUFFIXES)}) beside it; add the image"
        for mask in files_in(root, MASK_SUFFIX)
        if mask not in stills.masks
    ]
    _remove_unused(root, stills, [isinstance(count, int) for count in found])
    objects = [count for count in found if isinstance(count, int)]
    if not objects:
        raise UserError(f"{root}: no usable pair of image and mask ({left_out[0]}); correct the source")
    if (root / INDEX).is_file():
        present = {key_of(root, file) for file in stills.files}
        left_out += [f"{INDEX}: {key}: no such image" for key, _ in read_index(root / INDEX) if key not in present]
    return StillCounts(len(objects), sum(objects), tuple(line.replace(f"{root}/", "") for line in left_out))


def _check_still(stills: StillImages, index: int) -> int | str:
    """The number of objects of a pair, or one line that says why it cannot be used."""
    file = stills.files[index]
    try:
        decoded_size(file)
        objects = len(stills.instances(index))
    except UserError as error:
        return str(error)
    return objects or f"{stills.masks[index]}: empty mask; outline the object"


def _remove_unused(root: Path, stills: StillImages, usable: list[bool]) -> None:
    """Delete the images that cannot be used, and all masks but those of usable images."""
    kept = {mask for mask, use in zip(stills.masks, usable, strict=True) if use}
    for file, use in zip(stills.files, usable, strict=True):
        if not use:
            file.unlink()
    for mask in files_in(root, MASK_SUFFIX):
        if mask not in kept:
            mask.unlink()


def _check_image(data: CocoImages, index: int) -> int:
    data.check_size(index, decoded_size(data.file(index)))
    return len(data.instances(index))


def _check_sequence(sequence: Video) -> int:
    first = decoded_size(sequence.frames[0])
    for index, frame in enumerate(sequence.frames):
        if (size := decoded_size(frame)) != first:
            raise UserError(
                f"{frame}: {size[0]}x{size[1]} pixels in a sequence of {first[0]}x{first[1]}; resize all its frames to "
                "one size"
            )
        sequence.labels(index)
    _check_annotations(sequence)
    return len(sequence)


def _check_annotations(sequence: Video) -> None:
    """Inference starts from the first frame's mask; training and metrics need three annotated frames."""
    if sequence.masks[0] is None:
        raise UserError(
            f"{sequence.frames[0]}: first frame without mask; add the mask, or remove the frames before the first mask"
        )
    annotated = sum(mask is not None for mask in sequence.masks)
    if annotated < MIN_ANNOTATED_FRAMES:
        raise UserError(
            f"{sequence.frames[0].parent}: {annotated} annotated frames; annotate {MIN_ANNOTATED_FRAMES} or more, or "
            "remove the sequence"
        )
