"""Where the stages of dvc.yaml read and write, relative to the repository's root."""

import os
from pathlib import Path

DATA = Path("data")
COCO = DATA / "coco"
DAVIS = DATA / "davis"
BACKBONE = Path("models/backbone.safetensors")
FPN = Path("models/fpn.safetensors")
TRACKER = Path("models/tracker.safetensors")
RESULTS = Path("results/davis")
BASELINES = Path("results/baselines")
REPORTS = Path("reports")


def in_main_checkout(name: str) -> Path:
    """A file or folder that params.yaml names, relative to the main checkout wherever the stage runs; ~ is the home."""
    return Path(os.environ.get("DVC_ROOT", "")) / Path(name).expanduser()
