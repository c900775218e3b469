from pathlib import Path
from typing import Any

import pytest
import yaml

from partprop.base.errors import UserError
from partprop.data.coco import open_coco
from partprop.data.video import open_davis
from partprop.download.manifest import manifest
from partprop.params import Params, load_params
from partprop.stages import download_coco, download_davis

SMALL = {
    "seed": 3,
    "width": 64,
    "height": 64,
    "train_images": 3,
    "val_images": 2,
    "train_videos": 2,
    "val_videos": 1,
    "frames": 8,
}


def params_with(path: Path, source: str) -> Params:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    content["data"] = {
        "coco": {"source": source},
        "davis": {"source": source, "year": 2016},
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


def test_a_missing_source_is_an_error(mini_params: Path, recorder) -> None:
    params = params_with(mini_params, "absent")
    for stage in (download_coco, download_davis):
        with pytest.raises(UserError, match="absent: no such folder or archive"):
            stage.run(params, recorder)
    assert not recorder.logged
    assert not list(Path("data").iterdir())
