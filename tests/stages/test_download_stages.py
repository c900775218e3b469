from pathlib import Path
from typing import Any

import pytest
import yaml

from partprop.base.errors import UserError
from partprop.data.coco import open_coco
from partprop.data.stills import open_stills
from partprop.data.video import open_davis
from partprop.download.manifest import manifest
from partprop.params import Params, load_params
from partprop.stages import download_coco, download_davis, download_static

SMALL = {
    "seed": 3,
    "width": 64,
    "height": 64,
    "train_images": 3,
    "val_images": 2,
    "still_images": 4,
    "train_videos": 2,
    "val_videos": 1,
    "frames": 8,
}


def params_with(path: Path, source: str) -> Params:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    content["data"] = {
        "coco": {"source": source, "images": 0},
        "davis": {"source": source, "year": 2016},
        "static": {"source": source},
        "synthetic": SMALL,
    }
    content["infer"]["shards"] = [0]
    path.write_text(yaml.safe_dump(content))
    return load_params(path)


def test_synthetic_data_are_equal_when_read_from_a_folder(mini_params: Path, tmp_path: Path, recorder) -> None:
    synthetic = params_with(mini_params, "synthetic")
    download_coco.run(synthetic, recorder)
    coco = dict(recorder.logged), recorder.tagged["manifest"]
    download_davis.run(synthetic, recorder)
    davis = recorder.tagged["manifest"]

    assert recorder.logged["images"] == [(None, len(open_coco(Path("data/coco"), "train2017")) + 2)]
    assert recorder.logged["bytes"] == [(None, manifest(Path("data/coco")).bytes)]
    assert recorder.logged["instances"][0][1] >= 5
    assert recorder.logged["sequences"] == [(None, 3)]
    assert recorder.logged["frames"] == [(None, 24)]
    assert len(open_davis(Path("data/davis"), "train", 2016)) == 2

    Path("data").rename("made")
    recorder.logged.clear()
    download_coco.run(params_with(mini_params, "made/coco"), recorder)
    assert (dict(recorder.logged), recorder.tagged["manifest"]) == coco
    download_davis.run(params_with(mini_params, "made/davis"), recorder)
    assert recorder.tagged["manifest"] == davis


def test_synthetic_stills_are_equal_when_read_from_a_folder(mini_params: Path, recorder) -> None:
    download_static.run(params_with(mini_params, "synthetic"), recorder)
    logged, rendered = dict(recorder.logged), recorder.tagged["manifest"]
    assert logged["images"] == [(None, 4)]
    assert logged["left_out"] == [(None, 0)]
    assert set(open_stills(Path("data/static")).categories_in(0)) <= {"blob", "star", "walker", "worm"}

    Path("data").rename("made")
    recorder.logged.clear()
    download_static.run(params_with(mini_params, "made/static"), recorder)
    assert (dict(recorder.logged), recorder.tagged["manifest"]) == (logged, rendered)


def test_pairs_left_out_are_printed(mini_params: Path, recorder, capsys: pytest.CaptureFixture[str]) -> None:
    download_static.run(params_with(mini_params, "synthetic"), recorder)
    Path("data").rename("made")
    Path("made/static/shapes/00001.png").unlink()
    download_static.run(params_with(mini_params, "made/static"), recorder)
    assert "left out: shapes/00001.png: no such image" in capsys.readouterr().out
    assert recorder.logged["left_out"][-1] == (None, 1)


def test_the_source_none_writes_an_empty_folder(mini_params: Path, recorder) -> None:
    content = yaml.safe_load(mini_params.read_text())
    content["data"]["static"]["source"] = "none"
    mini_params.write_text(yaml.safe_dump(content))
    download_static.run(load_params(mini_params), recorder)
    assert not list(Path("data/static").iterdir())
    assert recorder.logged["images"] == [(None, 0)]


def test_a_missing_source_is_an_error(mini_params: Path, recorder) -> None:
    params = params_with(mini_params, "absent")
    for stage in (download_coco, download_davis, download_static):
        with pytest.raises(UserError, match="absent: no such folder or archive"):
            stage.run(params, recorder)
    assert not recorder.logged
    assert not list(Path("data").iterdir())
