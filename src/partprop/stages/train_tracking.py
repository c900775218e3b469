"""Train part tracking, pixel correlation and mask propagation on short clips, starting from the pre-trained pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from partprop.base import paths
from partprop.data.coco import open_coco
from partprop.data.instances import InstanceImages
from partprop.data.stills import open_stills
from partprop.data.video import Video, open_davis
from partprop.model.backbone.devices import memory_format
from partprop.model.backbone.imagenet import scale_pixels
from partprop.model.backbone.keys import KeyedPyramid
from partprop.model.backbone.weights import load_weights, save_weights
from partprop.model.building import build_network
from partprop.model.network import Network
from partprop.tracking.settings import Settings
from partprop.tracking.validation import require_annotated, split_held_out, validate
from partprop.training.common.checkpoint import Checkpoint, Resumable, checkpoint_folder
from partprop.training.common.history import History
from partprop.training.common.optimisation import (
    GRADIENT_NORM,
    build_ema,
    build_optimizer,
    lr_factor,
    set_learning_rate,
)
from partprop.training.common.scenery import Scenery
from partprop.training.common.seeding import seeded_batches, start_fabric
from partprop.training.tracker.clips import Clip, ClipLength
from partprop.training.tracker.losses import FrameTargets, frame_losses, total_loss
from partprop.training.tracker.mask_errors import ClipSupervision, MaskErrors
from partprop.training.tracker.sampling import ClipSource, MixedClips, StillClips, VideoClips

if TYPE_CHECKING:
    from partprop.params import Params, TrainTracking
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "train_tracking"


def run(params: Params, log: Run) -> None:
    """Write models/tracker.safetensors, the averaged weights after the last step, and the training curves.

    The validation curve selects no weights: on a few videos it varies less between steps than between seeds.
    """
    settings = params.train_tracking
    fabric = start_fabric(params.seed, settings.threads)
    training, held_out = split_held_out(open_davis(paths.DAVIS, "train", params.data.davis.year), settings.held_out)
    require_annotated(held_out, settings.validate_frames)
    clips = _open_clips(training, settings)
    curve_settings = Settings(**settings.validate_settings.model_dump())

    network = build_network(**params.model.model_dump())
    load_weights(KeyedPyramid(network.pyramid, network.correlation.base), paths.FPN)
    network.to(memory_format=memory_format(fabric.device))
    optimizer = build_optimizer(
        network, network.pyramid.backbone, settings.lr, settings.backbone_lr_scale, settings.weight_decay
    )
    average = cast(AveragedModel, fabric.to_device(build_ema(network, settings.ema_decay)))
    averaged = cast(Network, average.module)
    model, optimizer = fabric.setup(network, optimizer)
    curves, validations = History(log), History(log)
    checkpoint = Checkpoint(_checkpoint_folder(params))
    resumable = Resumable(
        checkpoint, network=model, average=average, optimizer=optimizer, curves=curves, validations=validations
    )
    first = resumable.resume()

    for step, batch in _batches(clips, settings, params.seed, first, fabric):
        set_learning_rate(optimizer, settings.lr * lr_factor(step, settings.steps, settings.warmup_steps))
        model.train()
        losses = clip_losses(model, batch)
        fabric.backward(total_loss(losses))
        fabric.clip_gradients(model, optimizer, max_norm=GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(network)

        done = step + 1
        curves.add(losses)
        if done % settings.log_every == 0 or done == settings.steps:
            print(f"step {done}/{settings.steps}", curves.flush(done, lr=optimizer.param_groups[0]["lr"]), flush=True)
        if done % settings.validate_every == 0 or done == settings.steps:
            scores, _ = validate(averaged, curve_settings, held_out, settings.validate_frames)
            print("validation", validations.append(done, scores), flush=True)
        if done % settings.checkpoint_every == 0 and fabric.is_global_zero:
            resumable.save(done)

    if fabric.is_global_zero:
        curves.write(REPORT / "curves.csv")
        validations.write(REPORT / "validation.csv")
        save_weights(averaged, paths.TRACKER)
        log.artifact(REPORT)
        log.model("tracker", LastMask(averaged).eval(), _example_inputs(clips, settings))
        log.require_same_inputs()
        checkpoint.remove()


def _open_clips(training: list[Video], settings: TrainTracking) -> ClipSource:
    """Return clips of videos and of still images; from all of COCO, since no later stage measures on it."""
    scenery = None
    if settings.still_share or settings.paste_share:
        weights = settings.still_weights
        sets: list[tuple[InstanceImages, float]] = [
            (open_coco(paths.COCO, split), weights.coco) for split in ("train2017", "val2017")
        ]
        sets.append((open_stills(paths.STATIC), weights.static))
        scenery = Scenery.collect(sets, settings.held_out_categories)
    crop, length = settings.crop, ClipLength(settings.frames, settings.late_frames, settings.late_share)
    videos = VideoClips(training, crop, length, settings.max_gap, settings.parts, settings.paste_share, scenery)
    if scenery is None:
        return videos
    return MixedClips(videos, StillClips(scenery, crop, length, settings.parts), settings.still_share)


def _batches(
    clips: ClipSource, settings: TrainTracking, seed: int, first: int, fabric: Fabric
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield (step, collated clips) from step `first` on."""

    def draw(rng: np.random.Generator, step: int, number: int) -> Clip:
        return clips.draw(rng, step / settings.steps)

    return seeded_batches(fabric, draw, collate, seed, settings.batch, range(first, settings.steps))


def collate(clips: list[Clip]) -> dict[str, Tensor]:
    """Stack B clips to tensors, by the field names of `Clip`.

    Images are float (B, T, 3, S, S), normalised to [-1, 1], and masks float (B, T, 1, S, S); the others are as in
    `Clip`, with the batch in front.
    """
    stacked = {
        field.name: torch.from_numpy(np.stack([getattr(clip, field.name) for clip in clips])) for field in fields(Clip)
    }
    stacked["images"] = scale_pixels(stacked["images"].permute(0, 1, 4, 2, 3))
    stacked["masks"] = stacked["masks"].float()[:, :, None]
    return stacked


def clip_losses(network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Propagate the reference masks through a batch of `collate`; return each loss, its mean over the later frames."""
    masks = batch["masks"]
    errors = MaskErrors(batch["drift"], batch["dilation"], batch["patches"])
    supervision = ClipSupervision(masks, batch["teacher_forced"], errors)
    outputs = network(
        batch["images"],
        masks[:, 0],
        batch["windows"],
        batch["last_boxes"],
        batch["remembered"],
        supervision.previous_mask,
    )
    by_frame = [
        frame_losses(
            output,
            FrameTargets(
                masks[:, time],
                batch["boxes"][:, time],
                batch["tracked"][:, time],
                batch["windows"][:, time],
                batch["last_boxes"][:, time],
            ),
        )
        for time, output in enumerate(outputs, start=1)
    ]
    return {name: torch.stack([losses[name] for losses in by_frame]).mean() for name in by_frame[0]}


class LastMask(nn.Module):
    """The network with one tensor as output, as MLflow logs it: from a clip to the mask of its last frame."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, mask: Tensor, boxes: Tensor, last: Tensor, remembered: Tensor) -> Tensor:
        """Return the joined probability (B, 1, H/2, W/2) of the last frame; arguments as in `Network.forward`."""
        return self.network(images, mask, boxes, last, remembered)[-1].joined


def _example_inputs(clips: ClipSource, settings: TrainTracking) -> list[Tensor]:
    batch = collate([clips.draw(np.random.default_rng(number), 0.0) for number in range(settings.batch)])
    return [batch["images"], batch["masks"][:, 0], batch["windows"], batch["last_boxes"], batch["remembered"]]


def _checkpoint_folder(params: Params) -> Path:
    parameters = {
        "seed": params.seed,
        "year": params.data.davis.year,
        "model": params.model.model_dump(),
        "train_tracking": params.train_tracking.model_dump(),
    }
    return checkpoint_folder("train_tracking", parameters, [paths.FPN, paths.DAVIS, paths.COCO, paths.STATIC])
