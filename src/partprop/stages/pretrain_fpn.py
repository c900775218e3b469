"""Pre-train backbone, feature pyramid and keys on still images: Mask R-CNN, whose heads are dropped, and matching."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from partprop.base import paths
from partprop.base.files import write_json
from partprop.data.coco import CocoImages, open_coco
from partprop.data.instances import InstanceImages
from partprop.data.stills import open_stills
from partprop.model.backbone.devices import memory_format
from partprop.model.backbone.imagenet import load_backbone
from partprop.model.backbone.keys import KeyedPyramid, key_projections
from partprop.model.backbone.pyramid import Pyramid
from partprop.model.backbone.weights import save_weights
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
from partprop.training.pyramid.average_precision import average_precision, to_coco_results
from partprop.training.pyramid.detector import build_detector
from partprop.training.pyramid.matching import WEIGHTS
from partprop.training.pyramid.pairs import Pair, StillPairs
from partprop.training.pyramid.samples import DetectionSamples, Target, detection_sample
from partprop.training.pyramid.task import PretrainingTask, TaskBatch, collate

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "pretrain_fpn"


def run(params: Params, log: Run) -> None:
    """Write models/fpn.safetensors, the averaged weights of pyramid and key projections, the loss curves and the
    detector's AP on val2017 (nothing for 0 steps).
    """
    settings = params.pretrain_fpn
    fabric = start_fabric(params.seed, settings.threads)
    training, validation = open_coco(paths.COCO, "train2017"), open_coco(paths.COCO, "val2017")
    task, optimizer = build_task(params, len(training.categories))
    average = cast(AveragedModel, fabric.to_device(build_ema(task, settings.ema_decay)))
    averaged = cast(PretrainingTask, average.module)
    model, optimizer = fabric.setup(task.to(memory_format=memory_format(fabric.device)), optimizer)
    curves = History(log)
    checkpoint = Checkpoint(_checkpoint_folder(params))
    resumable = Resumable(checkpoint, task=model, average=average, optimizer=optimizer, curves=curves)
    first = resumable.resume()

    model.train()
    for step, batch in _batches(params, training, first, fabric):
        # torchvision samples anchors and proposals with PyTorch's generator: seed it per step, for resumed trainings
        torch.manual_seed(params.seed * 1_000_003 + step)
        set_learning_rate(optimizer, settings.lr * lr_factor(step, settings.steps, settings.warmup_steps))
        losses = model(*batch)
        fabric.backward(torch.stack([WEIGHTS.get(name, 1.0) * loss for name, loss in losses.items()]).sum())
        fabric.clip_gradients(model, optimizer, max_norm=GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()
        average.update_parameters(task)

        done = step + 1
        curves.add(losses)
        if done % settings.log_every == 0 or done == settings.steps:
            print(f"step {done}/{settings.steps}", curves.flush(done, lr=optimizer.param_groups[0]["lr"]), flush=True)
        if done % settings.checkpoint_every == 0 and fabric.is_global_zero:
            resumable.save(done)

    if fabric.is_global_zero:
        detects = settings.steps > 0 and settings.batch > 0
        scores = measure(averaged.detector, validation, settings.image_size) if detects else {}
        log.metrics(scores)
        _write(averaged.learner, curves, scores)
        log.artifact(REPORT)
        size = settings.image_size
        log.model("fpn", PyramidLevels(averaged.learner.pyramid).eval(), [torch.zeros(2, 3, size, size)])
        log.require_same_inputs()
        checkpoint.remove()


def build_task(params: Params, classes: int) -> tuple[PretrainingTask, torch.optim.Optimizer]:
    """Build the task on the ImageNet backbone, and its optimiser."""
    settings = params.pretrain_fpn
    backbone = load_backbone(paths.BACKBONE, params.model.backbone)
    pyramid = Pyramid(backbone, params.model.fpn_channels)
    learner = KeyedPyramid(pyramid, key_projections(pyramid.base_channels[:3], params.model.key_channels))
    task = PretrainingTask(build_detector(pyramid, classes, settings.image_size), learner)
    scale = settings.backbone_lr_scale
    trained = nn.ModuleList([task.detector, learner])  # the teacher is not
    return task, build_optimizer(trained, backbone, settings.lr, scale, settings.weight_decay)


@torch.inference_mode()
def measure(detector: nn.Module, images: CocoImages, size: int) -> dict[str, float]:
    """Return a detector's AP and AR on all images (see `average_precision`), and leave it in evaluation mode.

    Args:
        size: to which the longer side of each image is resized, in pixels.
    """
    detector.eval()
    results = []
    for index, image_id in enumerate(images.image_ids):
        image, _ = detection_sample(images, index, {}, size, None)
        (found,) = detector([image.to(next(detector.parameters()).device)])
        width, height = images.size(index)
        scale = width / image.shape[2]
        results += to_coco_results(
            image_id,
            (found["boxes"] * scale).cpu().numpy(),
            found["scores"].cpu().numpy(),
            [images.category_ids[int(label)] for label in found["labels"]],
            np.array([_resize(mask, width, height) for mask in found["masks"][:, 0].cpu().numpy()], bool),
        )
    return average_precision(images, results)


def _resize(mask: np.ndarray, width: int, height: int) -> np.ndarray:
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5


def _batches(params: Params, training: CocoImages, first: int, fabric: Fabric) -> Iterator[tuple[int, TaskBatch]]:
    """Yield (step, batch) from step `first` on."""
    settings = params.pretrain_fpn
    if first == settings.steps:
        return
    weights, held_out = params.train_tracking.still_weights, params.train_tracking.held_out_categories
    sets: list[tuple[InstanceImages, float]] = [(training, weights.coco), (open_stills(paths.STATIC), weights.static)]
    draws: list[Callable[[np.random.Generator], tuple[Tensor, Target] | Pair]] = []
    if settings.batch:
        numbers = {name: number for number, name in training.categories.items()}
        draws += [DetectionSamples.collect(sets, held_out, numbers, settings.image_size).draw] * settings.batch
    if settings.pairs:
        draws += [StillPairs(Scenery.collect(sets, held_out), settings.crop).draw] * settings.pairs

    def draw(rng: np.random.Generator, step: int, number: int) -> tuple[Tensor, Target] | Pair:
        return draws[number % len(draws)](rng)

    yield from seeded_batches(fabric, draw, collate, params.seed, len(draws), range(first, settings.steps))


class PyramidLevels(nn.Module):
    """The pyramid with a tuple as output, as MLflow logs it: from normalised images (B, 3, H, W) to P2..P6."""

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps P2..P6; see `Pyramid.forward`."""
        return tuple(self.pyramid(images).values())


def _checkpoint_folder(params: Params) -> Path:
    parameters = {
        "seed": params.seed,
        "backbone": params.model.backbone,
        "channels": [params.model.fpn_channels, params.model.key_channels],
        "pretrain_fpn": params.pretrain_fpn.model_dump(),
        "held_out_categories": params.train_tracking.held_out_categories,
        "still_weights": params.train_tracking.still_weights.model_dump(),
    }
    return checkpoint_folder("pretrain_fpn", parameters, [paths.BACKBONE, paths.COCO, paths.STATIC])


def _write(learner: nn.Module, curves: History, scores: dict[str, float]) -> None:
    curves.write(REPORT / "curves.csv")
    write_json(REPORT / "metrics.json", scores)
    save_weights(learner, paths.FPN)
