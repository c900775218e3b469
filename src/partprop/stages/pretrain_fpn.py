"""Pre-train backbone and feature pyramid as Mask R-CNN on COCO; the detector's own heads are dropped afterwards."""

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
from partprop.base.threads import use_threads
from partprop.data.coco import CocoImages, open_coco
from partprop.model.backbone.devices import layout
from partprop.model.backbone.imagenet import load_backbone
from partprop.model.backbone.pyramid import Pyramid
from partprop.model.backbone.weights import save_weights
from partprop.training.common.checkpoint import Checkpoint, checkpoint_folder
from partprop.training.common.history import History
from partprop.training.common.optimisation import GRADIENT_NORM, build_optimizer, schedule, set_learning_rate
from partprop.training.common.prefetch import prefetched
from partprop.training.pyramid.average_precision import average_precision, detections_as_coco
from partprop.training.pyramid.detector import build_detector
from partprop.training.pyramid.samples import Target, detection_sample

if TYPE_CHECKING:
    from partprop.params import Params, PretrainFpn
    from partprop.pipeline.runs import Run

REPORT = paths.REPORTS / "pretrain_fpn"
Batch = tuple[list[Tensor], list[Target]]


def run(params: Params, log: Run) -> None:
    """Write models/fpn.safetensors and the detector's AP on val2017, or none where there are no steps."""
    settings = params.pretrain_fpn
    use_threads(settings.threads)
    torch.manual_seed(params.seed)
    fabric = Fabric(accelerator="auto", devices="auto")
    fabric.launch()

    training, validation = open_coco(paths.COCO, "train2017"), open_coco(paths.COCO, "val2017")
    backbone = load_backbone(paths.BACKBONE, params.model.backbone)
    pyramid = Pyramid(backbone, params.model.fpn_channels).to(memory_format=layout(fabric.device))
    detector = build_detector(pyramid, len(training.categories), settings.image_size)
    optimizer = build_optimizer(detector, backbone, settings.lr, settings.backbone_lr_scale, settings.weight_decay)
    detector, optimizer = fabric.setup(detector, optimizer)

    checkpoint = Checkpoint(_folder(params))
    curves, first = History(log), 0
    if (state := checkpoint.load()) is not None:
        detector.load_state_dict(state["detector"])
        optimizer.load_state_dict(state["optimizer"])
        curves.restore(state["curves"])
        first = state["step"]

    detector.train()
    for step, (images, targets) in _batches(training, settings, params.seed, first, fabric):
        # torchvision samples anchors and proposals from torch's stream: seed it by step, so that a resume agrees
        torch.manual_seed(params.seed * 1_000_003 + step)
        set_learning_rate(optimizer, settings.lr * schedule(step, settings.steps, settings.warmup_steps))
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
            checkpoint.save(
                {
                    "detector": detector.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "curves": curves.state(),
                    "step": done,
                }
            )

    if fabric.is_global_zero:
        scores = measure(detector, validation, settings.image_size) if settings.steps else {}
        log.metrics(scores)
        _write(detector.backbone, curves, scores)
        log.artifact(REPORT)
        size = settings.image_size
        log.model("fpn", Levels(detector.backbone).eval(), [torch.zeros(2, 3, size, size)])
        log.require_same_inputs()
        checkpoint.remove()


@torch.inference_mode()
def measure(detector: nn.Module, images: CocoImages, size: int) -> dict[str, float]:
    """AP and AR (see `average_precision`) of a detector on all images, resized to `size`."""
    detector.eval()
    results = []
    for index, image_id in enumerate(images.image_ids):
        image, _ = detection_sample(images, index, size, None)
        (found,) = detector([image.to(next(detector.parameters()).device)])
        width, height = images.size(index)
        scale = width / image.shape[2]
        results += detections_as_coco(
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
    """Numbered batches from step `first` on; a sample depends on the seed, the step and its number alone."""
    share = settings.batch * fabric.world_size

    def prepare(step: int) -> Batch:
        samples = []
        for number in range(fabric.global_rank * settings.batch, (fabric.global_rank + 1) * settings.batch):
            epoch, place = divmod(step * share + number, len(images))
            order = np.random.default_rng([seed, epoch]).permutation(len(images))
            rng = np.random.default_rng([seed, step, number])
            samples.append(detection_sample(images, int(order[place]), settings.image_size, rng))
        return [image for image, _ in samples], [target for _, target in samples]

    for step, batch in prefetched(prepare, first, settings.steps):
        yield step, fabric.to_device(batch)


class Levels(nn.Module):
    """The pyramid as a function of tensors alone, to be logged: of normalised images to P2..P6."""

    def __init__(self, pyramid: nn.Module) -> None:
        super().__init__()
        self.pyramid = pyramid

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """See `Pyramid.forward`."""
        return tuple(self.pyramid(images).values())


def _folder(params: Params) -> Path:
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
