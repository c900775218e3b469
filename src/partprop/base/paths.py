"""Files and folders of the pipeline, relative to the root of the repository."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
SOURCES = Path("sources.yaml")
DATA = Path("data")
COCO = DATA / "coco"
DAVIS = DATA / "davis"
STATIC = DATA / "static"
BACKBONE = Path("models/backbone.safetensors")
FPN = Path("models/fpn.safetensors")
TRACKER = Path("models/tracker.safetensors")  # the whole network, not only its part tracker
RESULTS = Path("results/davis")
BASELINES = Path("results/baselines")
REPORTS = Path("reports")


def in_main_checkout(name: str) -> Path:
    """The path of a file or folder that params.yaml names; ~ is the home folder.

    It is relative to the main checkout, also for a stage that `dvc exp run --temp` runs in another folder.
    """
    return Path(os.environ.get("DVC_ROOT", "")) / Path(name).expanduser()
