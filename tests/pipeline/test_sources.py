"""sources.yaml changes when what a local source holds does."""

import os
from pathlib import Path

import pytest
import yaml

from partprop.base.errors import UserError
from partprop.base.paths import SOURCES
from partprop.params import load_params
from partprop.pipeline.sources import NOT_LOCAL, update_sources


def noted() -> dict[str, str]:
    params = load_params(Path("params.yaml"))
    update_sources(params)
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


@pytest.mark.parametrize("source", ["data", "data/davis", "./data/davis/DAVIS", "x/../data"])
def test_data_where_the_pipeline_writes_its_copy_are_refused(mini_params: Path, source: str) -> None:
    """DVC deletes a stage's outputs before it runs: they would be lost."""
    content = mini_params.read_text()
    mini_params.write_text(content.replace("    source: synthetic\n    year", f"    source: {source}\n    year"))
    with pytest.raises(UserError, match=r"data\.davis\.source: .* is inside data/.*move the data elsewhere"):
        update_sources(load_params(mini_params))
