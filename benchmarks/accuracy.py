"""J&F of trained weights on any videos in the layout of DAVIS, without the pipeline.

    .venv/bin/python benchmarks/accuracy.py ../videos --year 2017
    .venv/bin/python benchmarks/accuracy.py data/davis --split val --shipped
    .venv/bin/python benchmarks/accuracy.py data/davis --split val --shipped --single-precision

The first segments every video of a folder with models/tracker.safetensors and the settings of params.yaml, each object
with its own id. The second says whether the weights that come with the package, run as `partprop segment` runs them,
do as well as their model card says; on a processor with bfloat16 that is in half precision. The third computes as the
pipeline does, whose measures the card has. Both are runs on validation videos, for docs/experiments.md.
"""

import argparse
import re
import sys
from pathlib import Path

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS
from partprop.base.threads import use_threads
from partprop.data.video import open_davis
from partprop.model.network import Network
from partprop.params import load_params
from partprop.pipeline.trained import load_trained
from partprop.pretrained import LITE0, Segmenter, load_pretrained
from partprop.process.allocator import keep_freed_pages
from partprop.tracking.settings import Settings
from partprop.tracking.validation import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="folder with JPEGImages and Annotations")
    parser.add_argument("--split", help="train or val, as ImageSets lists them; all videos without")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2016, help="2016: one object per video")
    parser.add_argument("--shipped", action="store_true", help="use the weights that come with the package")
    parser.add_argument("--single-precision", action="store_true", help="with --shipped: compute as the pipeline does")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.single_precision and not arguments.shipped:
        parser.error("--single-precision: goes with --shipped; without, it is what is done")
    keep_freed_pages()
    use_threads(arguments.threads)
    try:
        network, settings = _load(arguments.shipped, arguments.single_precision)
        sequences = open_davis(arguments.davis, arguments.split, arguments.year)
        scores, seconds = validate(network, settings, sequences, None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for name, value in scores.items():
        print(f"{name:28s} {value:.4f}")
    print(f"{1 / seconds:.1f} frames per second, reading included")
    if arguments.shipped:
        print(f"J&F of the model card: {_promised()}")


def _load(shipped: bool, single_precision: bool) -> tuple[Network, Settings]:
    if not shipped:
        return load_trained(load_params(PARAMS))
    if single_precision:
        return load_pretrained(LITE0)
    segmenter = Segmenter()
    return segmenter.network, segmenter.settings


def _promised() -> str:
    card = LITE0.with_name("README.md")
    found = re.search(r"\| J&F \| ([\d.]+)", card.read_text(encoding="utf-8")) if card.exists() else None
    return found[1] if found else f"{card} does not say"


if __name__ == "__main__":
    main()
