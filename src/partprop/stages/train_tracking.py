"""Train part tracking, pixel correlation and mask propagation on clips of frames, from the pre-trained pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from partprop.base import paths
from partprop.data.coco import open_coco
from partprop.data.video import Sequence, open_davis
from partprop.model.backbone.devices import layout
from partprop.model.backbone.weights import load_weights, save_weights
from partprop.model.building import build_network
from partprop.model.network import Network
from partprop.tracking.settings import Settings
from partprop.tracking.validation import require_annotated, split_held_out, validate
from partprop.training.common.checkpoint import Checkpoint, checkpoint_folder
from partprop.training.common.history import History
from partprop.training.common.optimisation import (
    GRADIENT_NORM,
    build_optimizer,
    moving_average,
    schedule,
    set_learning_rate,
)
from partprop.training.common.prefetch import prefetched
from partprop.training.tracker.clips import Clip
from partprop.training.tracker.losses import FrameTargets, frame_losses, total_loss
from partprop.training.tracker.mask_errors import Lesson, MaskErrors
from partprop.training.tracker.sampling import Clips, MixedClips, StillClips, VideoClips
from partprop.training.tracker.scenery import Scenery

if TYPE_CHECKING:
    from partprop.params import Params, TrainTracking
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "train_tracking"


def run(params: Params, log: Run) -> None:
    """Write models/tracker.safetensors: the averaged weights after the last step, measured on the held-out sequences.

    The validations before choose no weights: on few sequences they differ by less than seeds do.
    """
    settings = params.train_tracking
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(params.seed)
    fabric = Fabric(accelerator="auto", devices="auto")
    fabric.launch()

    sequences = open_davis(paths.DAVIS, "train", params.data.davis.year)
    training, held_out = split_held_out(sequences, settings.held_out)
    require_annotated(held_out, settings.validate_frames)
    clips = _clips(training, settings)
    curve_settings = Settings(**settings.validate_settings.model_dump())

    network = build_network(**params.model.model_dump())
    load_weights(network.pyramid, paths.FPN)
    network.to(memory_format=layout(fabric.device))
    optimizer = build_optimizer(
        network, network.pyramid.backbone, settings.lr, settings.backbone_lr_scale, settings.weight_decay
    )
    average = cast(AveragedModel, fabric.to_device(moving_average(network, settings.ema_decay)))
    averaged = cast(Network, average.module)
    model, optimizer = fabric.setup(network, optimizer)

    checkpoint = Checkpoint(_folder(params))
    curves, validations = History(log), History(log)
    first = 0
    if (state := checkpoint.load()) is not None:
        model.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        curves.restore(state["curves"])
        validations.restore(state["validations"])
        first = state["step"]

    for step, batch in _batches(clips, settings, params.seed, first, fabric):
        set_learning_rate(optimizer, settings.lr * schedule(step, settings.steps, settings.warmup_steps))
        model.train()
        losses = _losses(model, batch)
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
            checkpoint.save(
                {
                    "network": model.state_dict(),
                    "average": average.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "curves": curves.state(),
                    "validations": validations.state(),
                    "step": done,
                }
            )

    if fabric.is_global_zero:
        _write(averaged, curves, validations)
        log.artifact(REPORT)
        log.model("tracker", LastMask(averaged).eval(), _example(clips, settings))
        log.require_same_inputs()
        checkpoint.remove()


def _clips(training: list[Sequence], settings: TrainTracking) -> Clips:
    """Clips of videos and of still images; all COCO images are used, as no training stage measures on them later."""
    scenery = None
    if settings.still_share or settings.paste_share:
        scenery = Scenery.of([open_coco(paths.COCO, split) for split in ("train2017", "val2017")])
    videos = VideoClips(training, settings.crop, settings.max_gap, settings.parts, settings.paste_share, scenery)
    if scenery is None:
        return videos
    return MixedClips(videos, StillClips(scenery, settings.crop, settings.parts), settings.still_share)


def _batches(
    clips: Clips, settings: TrainTracking, seed: int, first: int, fabric: Fabric
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Numbered batches from step `first` on; a clip depends on the seed, the step and its number alone."""

    def prepare(step: int) -> dict[str, Tensor]:
        numbers = range(fabric.global_rank * settings.batch, (fabric.global_rank + 1) * settings.batch)
        generators = [np.random.default_rng([seed, step, number]) for number in numbers]
        return collate([clips.draw(generator, step / settings.steps) for generator in generators])

    for step, batch in prefetched(prepare, first, settings.steps):
        yield step, fabric.to_device(batch)


def collate(clips: list[Clip]) -> dict[str, Tensor]:
    """Stack clips to float tensors: images (B, T, 3, S, S) normalised, masks (B, T, 1, S, S), boxes as in Clip."""
    stacked = {
        field.name: torch.from_numpy(np.stack([getattr(clip, field.name) for clip in clips])) for field in fields(Clip)
    }
    stacked["images"] = stacked["images"].permute(0, 1, 4, 2, 3).float().div_(127.5).sub_(1.0)
    stacked["masks"] = stacked["masks"].float()[:, :, None]
    return stacked


def _losses(network: nn.Module, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mean over the frames after the reference of each loss."""
    masks = batch["masks"]
    lesson = Lesson(masks, batch["told"], MaskErrors(batch["drift"], batch["spread"], batch["paint"]))
    outputs = network(
        batch["images"], masks[:, 0], batch["windows"], batch["last"], batch["remembered"], lesson.prepare
    )
    by_frame = [
        frame_losses(
            output,
            FrameTargets(
                masks[:, time],
                batch["boxes"][:, time],
                batch["tracked"][:, time],
                batch["windows"][:, time],
                batch["last"][:, time],
            ),
        )
        for time, output in enumerate(outputs, start=1)
    ]
    return {name: torch.stack([losses[name] for losses in by_frame]).mean() for name in by_frame[0]}


class LastMask(nn.Module):
    """The network as a function of tensors alone, to be logged: of a clip to the mask of its last frame."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, mask: Tensor, boxes: Tensor, last: Tensor, remembered: Tensor) -> Tensor:
        """See `Network.forward`; gives the joined probability (B, 1, H/2, W/2)."""
        return self.network(images, mask, boxes, last, remembered)[-1].joined


def _example(clips: Clips, settings: TrainTracking) -> list[Tensor]:
    batch = collate([clips.draw(np.random.default_rng(number), 1.0) for number in range(settings.batch)])
    return [batch["images"], batch["masks"][:, 0], batch["windows"], batch["last"], batch["remembered"]]


def _folder(params: Params) -> Path:
    parameters = {
        "seed": params.seed,
        "year": params.data.davis.year,
        "model": params.model.model_dump(),
        "train_tracking": params.train_tracking.model_dump(),
    }
    return checkpoint_folder("train_tracking", parameters, [paths.FPN, paths.DAVIS, paths.COCO])


def _write(network: nn.Module, curves: History, validations: History) -> None:
    curves.write(REPORT / "curves.csv")
    validations.write(REPORT / "validation.csv")
    save_weights(network, paths.TRACKER)
