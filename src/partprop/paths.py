"""Where the stages of dvc.yaml read and write, relative to the repository's root."""

from pathlib import Path

COCO = Path("data/coco")
DAVIS = Path("data/davis")
BACKBONE = Path("models/backbone.safetensors")
FPN = Path("models/fpn.safetensors")
TRACKER = Path("models/tracker.safetensors")
RESULTS = Path("results/davis")
BASELINES = Path("results/baselines")
REPORTS = Path("reports")
