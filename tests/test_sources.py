"""sources.yaml changes when what a local source holds does."""

import os
from pathlib import Path

import yaml

from partprop.params import load_params
from partprop.sources import NOT_LOCAL, SOURCES, note_sources


def noted() -> dict[str, str]:
    params = load_params(Path("params.yaml"))
    note_sources(params)
    return yaml.safe_load(SOURCES.read_text())


def test_what_is_not_local_is_said_to_be(mini_params: Path):
    assert noted() == dict.fromkeys(("backbone", "coco", "davis"), NOT_LOCAL)


def test_a_changed_weights_file_is_seen(mini_params: Path):
    weights = mini_params.parent / "mine.pth"
    weights.write_bytes(b"weights")
    content = mini_params.read_text()
    mini_params.write_text(content.replace("weights: imagenet", "weights: mine.pth"))
    first = noted()["backbone"]
    assert first not in (NOT_LOCAL, "")
    assert noted()["backbone"] == first
    os.utime(weights, (1, 1))
    assert noted()["backbone"] != first
    seen = noted()["backbone"]
    weights.unlink()  # what was made of them may be in DVC's cache
    assert noted()["backbone"] == seen
