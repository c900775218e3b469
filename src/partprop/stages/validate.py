"""Measure the trained network on held-out training videos and kinds of objects, by which settings are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from partprop.base import paths
from partprop.base.files import write_json
from partprop.base.threads import use_threads
from partprop.data.coco import open_coco
from partprop.data.instances import InstanceImages
from partprop.data.stills import open_stills
from partprop.data.video import open_davis
from partprop.model.backbone.devices import choose_device, move_to_device
from partprop.model.building import build_network, load_network
from partprop.tracking.settings import Settings
from partprop.tracking.validation import MovingClip, split_held_out, validate, validate_clips
from partprop.training.common.scenery import Scenery, sample_moving_object

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "validate"
CLIPS, FRAMES, SIDE = 40, 12, 320  # of objects of held-out categories; the side of a frame is in pixels
CLIPS_SEED = 1


def run(params: Params, log: Run) -> None:
    """Write reports/validate/metrics.json and speed.json from all frames of the held-out videos.

    The score "J held-out categories" is of seeded clips of moving still images, if categories are held out.
    """
    use_threads(params.train_tracking.threads)
    videos = open_davis(paths.DAVIS, "train", params.data.davis.year)
    _, held_out = split_held_out(videos, params.train_tracking.held_out)
    network = load_network(paths.TRACKER, build_network(**params.model.model_dump()))
    move_to_device(network, choose_device("auto"))
    settings = Settings(**params.segmentation.model_dump())
    scores, seconds_per_frame = validate(network, settings, held_out, None)
    if categories := params.train_tracking.held_out_categories:
        scores["J held-out categories"] = validate_clips(network, settings, unseen_objects(categories))
    log.metrics(scores)
    write_json(REPORT / "metrics.json", scores)
    write_json(REPORT / "speed.json", {"seconds_per_frame": seconds_per_frame})


def unseen_objects(categories: list[str]) -> Iterator[MovingClip]:
    """Yield seeded clips of objects of held-out categories in COCO and the static set."""
    sets: list[InstanceImages] = [open_coco(paths.COCO, split) for split in ("train2017", "val2017")]
    sets.append(open_stills(paths.STATIC))
    scenery = Scenery.of_categories(sets, categories)
    shown = {name for images in sets for index in range(len(images)) for name in images.categories_in(index)}
    if missing := sorted(set(categories) - shown):
        print(f"train_tracking.held_out_categories: no image shows {', '.join(missing)}", flush=True)
    for number in range(CLIPS):
        images, masks = sample_moving_object(np.random.default_rng([CLIPS_SEED, number]), scenery, SIDE, FRAMES)
        yield MovingClip(images, masks)
