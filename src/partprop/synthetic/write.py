"""Rendered scenes, written in the layouts of COCO, DAVIS and still images with masks side by side."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from partprop.base.files import write_csv, write_json
from partprop.data.labels import write_labels
from partprop.data.stills import INDEX, INDEX_COLUMNS
from partprop.synthetic.body import KINDS
from partprop.synthetic.polygons import polygons
from partprop.synthetic.scene import Scene, render
from partprop.synthetic.script import TARGET, Script, script_image, script_video

SPLITS = ("train", "val")
JPEG_QUALITY = 95
MIN_VISIBLE = 64  # pixels: objects with a smaller visible area are not annotated
VIDEOS, IMAGES, STILLS = 0, 1, 2  # follow the seed in the key of each random stream


@dataclass(frozen=True)
class RenderSettings:
    """What to render.

    Attributes:
        seed: of all random choices.
        width, height: of images and frames, in pixels.
        train_images, val_images: number of still images in each split.
        still_images: number of still images with masks side by side.
        train_videos, val_videos: number of videos in each split.
        frames: length of each video.
    """

    seed: int
    width: int
    height: int
    train_images: int
    val_images: int
    still_images: int
    train_videos: int
    val_videos: int
    frames: int


def video_scripts(settings: RenderSettings, split: str) -> Iterator[tuple[str, Script]]:
    """Yield the name and script of each video of a split (train or val), in order."""
    count = {"train": settings.train_videos, "val": settings.val_videos}[split]
    for index in range(count):
        seed = (settings.seed, VIDEOS, SPLITS.index(split), index)
        yield f"{split}-{index:02d}", script_video(seed, index, settings.width, settings.height, settings.frames)


def image_scenes(settings: RenderSettings, split: str) -> Iterator[Scene]:
    """Yield the scene of each still image of a split (train or val), in order."""
    count = {"train": settings.train_images, "val": settings.val_images}[split]
    for index in range(count):
        yield script_image((settings.seed, IMAGES, SPLITS.index(split), index), settings.width, settings.height)


def write_davis(folder: Path, settings: RenderSettings, year: int) -> None:
    """Render the videos of both splits into an empty folder, in the layout of DAVIS.

    For 2016, masks are 0 and 255 and show only the target. For 2017, they are palette PNGs of all two or three objects,
    and the target has id 1.
    """
    for split in SPLITS:
        names = []
        for name, script in video_scripts(settings, split):
            names.append(name)
            frames, masks = (folder / kind / "480p" / name for kind in ("JPEGImages", "Annotations"))
            frames.mkdir(parents=True)
            masks.mkdir(parents=True)
            for frame in range(settings.frames):
                image, labels = render(script.scene, frame)
                _write_jpeg(frames / f"{frame:05d}.jpg", image)
                if year == 2016:
                    Image.fromarray(np.uint8(255) * (labels == TARGET)).save(masks / f"{frame:05d}.png")
                else:
                    write_labels(masks / f"{frame:05d}.png", labels)
        names_file = folder / "ImageSets" / str(year) / f"{split}.txt"
        names_file.parent.mkdir(parents=True, exist_ok=True)
        names_file.write_text("".join(f"{name}\n" for name in names))


def write_coco(folder: Path, settings: RenderSettings) -> None:
    """Render the images of both splits into an empty folder, in the layout of COCO.

    Each object is annotated with the polygons of its visible part; the categories are the shape classes.
    """
    image_id = 0
    for split in SPLITS:
        content: dict[str, Any] = {
            "info": {"description": f"partprop synthetic images, seed {settings.seed}"},
            "licenses": [],
            "images": [],
            "annotations": [],
            "categories": [{"id": KINDS.index(kind) + 1, "name": kind, "supercategory": "object"} for kind in KINDS],
        }
        images = folder / f"{split}2017"
        images.mkdir(parents=True)
        for scene in image_scenes(settings, split):
            image_id += 1
            image, labels = render(scene, 0)
            file_name = f"{image_id:012d}.jpg"
            _write_jpeg(images / file_name, image)
            content["images"].append(
                {"id": image_id, "file_name": file_name, "width": settings.width, "height": settings.height}
            )
            for actor in scene.actors:
                mask = labels == actor.label
                if mask.sum() >= MIN_VISIBLE:
                    category = KINDS.index(actor.body.kind) + 1
                    content["annotations"].append(_annotation(mask, image_id, 10 * image_id + actor.label, category))
        write_json(folder / "annotations" / f"instances_{split}2017.json", content)


def write_stills(folder: Path, settings: RenderSettings) -> None:
    """Render still images into an empty folder, each beside its mask, with an index of their categories."""
    rows = []
    group = folder / "shapes"
    group.mkdir()
    for number in range(settings.still_images):
        scene = script_image((settings.seed, STILLS, number), settings.width, settings.height)
        image, labels = render(scene, 0)
        visible = [actor for actor in scene.actors if (labels == actor.label).sum() >= MIN_VISIBLE]
        renumbered = np.zeros_like(labels)
        for label, actor in enumerate(visible, start=1):
            renumbered[labels == actor.label] = label
        name = f"{number:05d}"
        _write_jpeg(group / f"{name}.jpg", image)
        write_labels(group / f"{name}.png", renumbered)
        rows.append((group.name, name, " ".join(actor.body.kind for actor in visible)))
    write_csv(folder / INDEX, INDEX_COLUMNS, rows)


def _annotation(mask: np.ndarray, image_id: int, annotation_id: int, category: int) -> dict[str, Any]:
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": category,
        "iscrowd": 0,
        "area": int(mask.sum()),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "segmentation": polygons(mask),
    }


def _write_jpeg(path: Path, image: np.ndarray) -> None:
    Image.fromarray(image).save(path, quality=JPEG_QUALITY)
