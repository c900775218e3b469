"""Measure how well keys match an object with the first and with the previous frame, before any tracker is trained.

    .venv/bin/python benchmarks/keys.py data/davis dance-jump drift-turn
    .venv/bin/python benchmarks/keys.py data/davis dance-jump drift-turn --imagenet

Reads the object's mask in every N-th frame of the named training sequences from the first frame alone, at stride 8,
with the keys of models/fpn.safetensors and the model of params.yaml; with --imagenet, with keys of the ImageNet
backbone.
Prints the mean J of the masks that attention, the best matches and the correlation filter find (see docs/method.md),
first over the frames of a sequence, then over the sequences; and of the mask that the fine read-out finds at stride 4
from the true mask of the frame before.
"""

import sys

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from training_videos import named_sequences, parser_of, prepare, working_frame

from partprop.base import paths
from partprop.base.errors import UserError
from partprop.data.video import Video
from partprop.metrics.davis import jaccard
from partprop.model.backbone.imagenet import imagenet_weights, initialise_backbone
from partprop.model.backbone.keys import KeyedPyramid
from partprop.model.backbone.weights import load_weights
from partprop.model.building import build_network
from partprop.model.correlation import Past
from partprop.model.features import STRIDE
from partprop.model.network import Network
from partprop.model.readout import read
from partprop.model.windows import whole_window
from partprop.params import Params, load_params

MEASURES = ("attention", "best match", "filter", "previous")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--imagenet", action="store_true", help="keys of the backbone before pre-training")
    parser.add_argument("--every", type=int, default=3, help="measure every N-th frame")
    arguments = parser.parse_args()
    prepare(arguments.threads)
    try:
        params = load_params(paths.PARAMS)
        network = load_keys(params, arguments.imagenet)
        chosen = named_sequences(arguments.davis, arguments.sequences)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"{'sequence':20s}", *(f"{name:>10s}" for name in MEASURES))
    found = []
    for video in chosen:
        found.append(measure(network, video, params.segmentation.short_side, arguments.every))
        print(f"{video.name:20s}", *(f"{value:10.3f}" for value in found[-1]), flush=True)
    print(f"{'mean':20s}", *(f"{value:10.3f}" for value in np.mean(found, 0)))


def load_keys(params: Params, imagenet: bool) -> Network:
    """The network with the keys to measure; its other weights are random and not used."""
    torch.manual_seed(params.seed)
    network = build_network(**{**params.model.model_dump(), "learnt_keys": False}).eval()
    if imagenet:
        backbone = initialise_backbone(params.model.backbone, imagenet_weights(params.model.backbone, "imagenet"))
        network.pyramid.backbone.load_state_dict(backbone.state_dict())
    else:
        load_weights(KeyedPyramid(network.pyramid, network.correlation.base), paths.FPN)
    return network


@torch.inference_mode()
def measure(network: Network, video: Video, short_side: int, every: int) -> np.ndarray:
    """The mean J of a sequence by the names of MEASURES."""
    image, mask = _frame(video, 0, short_side)
    reference = network.encode(image)
    memory, weights = network.memorise(reference, mask), network.fit_filter(reference, mask)
    scores = []
    for index in range(1, len(video), every):
        image, before = _frame(video, index - 1, short_side)
        previous = network.encode(image)
        image, mask = _frame(video, index, short_side)
        current = network.encode(image)
        globally = read(memory, current.keys, network.correlation.log_temperature.exp()[0])
        filtered = network.correlation.filter.find(current.keys, whole_window(current.grid), weights, globally)
        truth = F.avg_pool2d(mask, STRIDE) > 0.5
        masks = (globally.mask, globally.match, filtered)
        past = Past(memory, weights, previous, before)
        locally = network.correlate(current, past, whole_window(current.grid)).evidence.locally.mask
        fine = network.correlation.read_fine(current.fine_keys, [previous.fine_frame(before)], (0, 0), locally)
        fine_truth = F.avg_pool2d(mask, STRIDE // 2) > 0.5
        scores.append(
            [jaccard((found > 0.5).numpy(), truth.numpy()) for found in masks]
            + [jaccard((fine > 0.5).numpy(), fine_truth.numpy())]
        )
    return np.mean(scores, 0)


def _frame(video: Video, index: int, short_side: int) -> tuple[Tensor, Tensor]:
    """A padded frame (1, 3, H, W) and the mask (1, 1, H, W) of its object."""
    _, mask, padded = working_frame(video, index, short_side)
    margin = (0, padded.shape[3] - mask.shape[1], 0, padded.shape[2] - mask.shape[0])
    return padded, F.pad(mask, margin)[None, None]


if __name__ == "__main__":
    main()
