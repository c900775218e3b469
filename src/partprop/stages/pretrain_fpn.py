"""Pre-train the backbone and the feature pyramid on COCO as parts of a Mask R-CNN, whose own heads are then dropped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from partprop.base import paths
from partprop.base.files import write_json
from partprop.data.coco import CocoImages, open_coco
from partprop.model.backbone.devices import memory_format
from partprop.model.backbone.imagenet import load_backbone
from partprop.model.backbone.pyramid import Pyramid
from partprop.model.backbone.weights import save_weights
from partprop.training.common.checkpoint import Checkpoint, Resumable, checkpoint_folder
from partprop.training.common.history import History
from partprop.training.common.optimisation import GRADIENT_NORM, build_optimizer, lr_factor, set_learning_rate
from partprop.training.common.seeding import seeded_batches, start_fabric
from partprop.training.pyramid.average_precision import average_precision, to_coco_results
from partprop.training.pyramid.detector import build_detector
from partprop.training.pyramid.samples import Target, detection_sample

if TYPE_CHECKING:
    from partprop.params import Params, PretrainFpn
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "pretrain_fpn"
Batch = tuple[list[Tensor], list[Target]]


def run(params: Params, log: Run) -> None:
    """Write models/fpn.safetensors, the loss curves, and the detector's AP on val2017 (nothing for 0 steps)."""
    settings = params.pretrain_fpn
    fabric = start_fabric(params.seed, settings.threads)
    training, validation = open_coco(paths.COCO, "train2017"), open_coco(paths.COCO, "val2017")
    backbone = load_backbone(paths.BACKBONE, params.model.backbone)
    pyramid = Pyramid(backbone, params.model.fpn_channels).to(memory_format=memory_format(fabric.device))
    detector = build_detector(pyramid, len(training.categories), settings.image_size)
    optimizer = build_optimizer(detector, backbone, settings.lr, settings.backbone_lr_scale, settings.weight_decay)
    detector, optimizer = fabric.setup(detector, optimizer)
    curves = History(log)
    checkpoint = Checkpoint(_checkpoint_folder(params))
    resumable = Resumable(checkpoint, detector=detector, optimizer=optimizer, curves=curves)
    first = resumable.resume()

    detector.train()
    for step, (images, targets) in _batches(training, settings, params.seed, first, fabric):
        # torchvision samples anchors and proposals with PyTorch's generator: seed it per step, for resumed trainings
        torch.manual_seed(params.seed * 1_000_003 + step)
        set_learning_rate(optimizer, settings.lr * lr_factor(step, settings.steps, settings.warmup_steps))
        losses = detector(images, targets)
        fabric.backward(torch.stack(list(losses.values())).sum())
        fabric.clip_gradients(detector, optimizer, max_norm=GRADIENT_NORM)
        optimizer.step()
        optimizer.zero_grad()

        done = step + 1
        curves.add(losses)
        if done % settings.log_every == 0 or done == settings.steps:
            print(f"step {done}/{settings.steps}", curves.flush(done, lr=optimizer.param_groups[0]["lr"]), flush=True)
        if done % settings.checkpoint_every == 0 and fabric.is_global_zero:
            resumable.save(done)

    if fabric.is_global_zero:
        scores = measure(detector, validation, settings.image_size) if settings.steps else {}
        log.metrics(scores)
        _write(detector.backbone, curves, scores)
        log.artifact(REPORT)
        size = settings.image_size
        log.model("fpn", PyramidLevels(detector.backbone).eval(), [torch.zeros(2, 3, size, size)])
        log.require_same_inputs()
        checkpoint.remove()


@torch.inference_mode()
def measure(detector: nn.Module, images: CocoImages, size: int) -> dict[str, float]:
    """Return a detector's AP and AR on all images (see `average_precision`), and leave it in evaluation mode.

    Args:
        size: to which the longer side of each image is resized, in pixels.
    """
    detector.eval()
    results = []
    for index, image_id in enumerate(images.image_ids):
        image, _ = detection_sample(images, index, size, None)
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


def _batches(
    images: CocoImages, settings: PretrainFpn, seed: int, first: int, fabric: Fabric
) -> Iterator[tuple[int, Batch]]:
    """Yield (step, (images, targets)) from step `first` on; each epoch visits the images in an order of its own."""
    samples_per_step = settings.batch * fabric.world_size

    def draw(rng: np.random.Generator, step: int, number: int) -> tuple[Tensor, Target]:
        epoch, position = divmod(step * samples_per_step + number, len(images))
        order = np.random.default_rng([seed, epoch]).permutation(len(images))
        return detection_sample(images, int(order[position]), settings.image_size, rng)

    def collate(samples: list[tuple[Tensor, Target]]) -> Batch:
        return [image for image, _ in samples], [target for _, target in samples]

    return seeded_batches(fabric, draw, collate, seed, settings.batch, range(first, settings.steps))


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
        "fpn_channels": params.model.fpn_channels,
        "pretrain_fpn": params.pretrain_fpn.model_dump(),
    }
    return checkpoint_folder("pretrain_fpn", parameters, [paths.BACKBONE, paths.COCO])


def _write(pyramid: nn.Module, curves: History, scores: dict[str, float]) -> None:
    curves.write(REPORT / "curves.csv")
    write_json(REPORT / "metrics.json", scores)
    save_weights(pyramid, paths.FPN)
