"""Whether the weights that come with the package do as well as the run that they are of.

    .venv/bin/python benchmarks/shipped_weights.py data/davis

Segments the validation videos with src/partprop/weights/lite0.safetensors and prints J&F beside what its model card
says. A run on the validation videos: for docs/experiments.md.
"""

import argparse
import re
import sys
from pathlib import Path

import torch

from partprop.data.video import open_davis
from partprop.errors import UserError
from partprop.tracking.pretrained import LITE0, load_pretrained
from partprop.tracking.validation import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="DAVIS folder; its validation split is segmented")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        network, settings = load_pretrained()
        scores, seconds = validate(network, settings, open_davis(arguments.davis, "val", 2016), None)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    card = re.search(r"\| J&F \| ([\d.]+)", LITE0.with_name("README.md").read_text(encoding="utf-8"))
    print(f"J&F {scores['J&F']:.4f}, {1 / seconds:.1f} frames per second; model card: {card[1] if card else 'none'}")


if __name__ == "__main__":
    main()
