"""sources.yaml changes when the content of a local source changes."""

import os
from pathlib import Path

import pytest
import yaml

from partprop.base.errors import UserError
from partprop.base.paths import SOURCES
from partprop.params import load_params
from partprop.pipeline.sources import NOT_LOCAL, update_sources


def updated() -> dict[str, str]:
    params = load_params(Path("params.yaml"))
    update_sources(params)
    return yaml.safe_load(SOURCES.read_text())


def test_sources_that_are_not_local_are_recorded_as_such(mini_params: Path):
    assert updated() == dict.fromkeys(("backbone", "coco", "davis", "static"), NOT_LOCAL)


def test_a_changed_weights_file_changes_its_hash(mini_params: Path):
    weights = mini_params.parent / "mine.pth"
    weights.write_bytes(b"weights")
    content = mini_params.read_text()
    mini_params.write_text(content.replace("weights: imagenet", "weights: mine.pth"))
    first = updated()["backbone"]
    assert first not in (NOT_LOCAL, "")
    assert updated()["backbone"] == first
    os.utime(weights, (1, 1))
    assert updated()["backbone"] != first
    last = updated()["backbone"]
    weights.unlink()  # outputs made from it may be in DVC's cache
    assert updated()["backbone"] == last


@pytest.mark.parametrize("source", ["data", "data/davis", "./data/davis/DAVIS", "x/../data"])
def test_a_source_inside_the_pipelines_data_folder_is_an_error(mini_params: Path, source: str) -> None:
    """DVC deletes a stage's outputs before it runs, and the source with them."""
    content = mini_params.read_text()
    mini_params.write_text(content.replace("    source: synthetic\n    year", f"    source: {source}\n    year"))
    with pytest.raises(UserError, match=r"data\.davis\.source: .* is inside data/.*move the data elsewhere"):
        update_sources(load_params(mini_params))
