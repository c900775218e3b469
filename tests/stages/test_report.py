"""The report stage on a small fabricated run with a few sequences of two objects."""

import base64
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.stages import report

METHODS = ["ours", "first_mask", "flow", "label_propagation"]
SCORES = {"camel": 0.873, "dog": 0.641, "kite-surf": 0.412, "libby": 0.811, "goat": 0.555}
FRAMES = [f"{number:05d}" for number in range(0, 14, 2)]
FETCHING = {"src", "srcset", "data", "poster", "action", "background", "xlink:href"}


class Page(HTMLParser):
    """Collects the addresses that a browser would fetch, links within the page, ids and the number of images."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.anchors: list[str] = []
        self.ids: set[str] = set()
        self.images = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        self.fetched += [value for key, value in values.items() if key in FETCHING]
        if tag == "link":
            self.fetched.append(values["href"])
        if tag == "a" and values["href"].startswith("#"):
            self.anchors.append(values["href"][1:])
        if "id" in values:
            self.ids.add(values["id"])
        self.images += tag == "img"


def block(shift: float) -> dict:
    """One method's block of metrics.json, with all scores lower by `shift`."""
    sequences = {
        name: {"J&F": round(score - shift, 4), "J": round(score - shift - 0.02, 4), "F": round(score - shift + 0.02, 4)}
        for name, score in SCORES.items()
    }
    for values in sequences.values():
        values["objects"] = {"1": {"J": values["J"], "F": values["F"]}}
    return {
        "J&F": round(0.6421 - shift, 4),
        "J&F_interval": {"low": round(0.5512 - shift, 4), "high": round(0.7234 - shift, 4)},
        "J": {"mean": round(0.6222 - shift, 4), "recall": 0.75, "decay": 0.111},
        "F": {"mean": round(0.6623 - shift, 4), "recall": 0.77, "decay": -0.052},
        "boxes": {"success_auc": 0.701, "precision_20px": 0.833},
        "sequences": sequences,
    }


ABLATIONS = """\
variant,parameters,J&F,J,F,seconds_per_frame,preset,steps,sequences,commit
complete,,0.812,0.834,0.790,0.151,cpu,1000,8,0123456
without <parts>,segmentation.parts=0,0.795,0.829,0.761,0.102,cpu,1000,8,0123456
"""


def write_run(root: Path) -> None:
    """Write all files that the stage reads, in the layout of the pipeline."""
    reports = root / "reports"
    for folder in ("plots", "pretrain_fpn", "train_tracking", "validate"):
        (reports / folder).mkdir(parents=True)
    metrics = {
        "preset": "mini",
        "dataset": "synthetic <b>videos</b>",
        "ours": block(0.0),
        "baselines": {"first_mask": block(0.3), "flow": block(0.2), "label_propagation": block(0.1)},
        "parameters": ["preset=mini", "data.davis.source=<script>alert(1)</script>", "segmentation.parts=6"],
    }
    (reports / "metrics.json").write_text(json.dumps(metrics))
    rng = np.random.default_rng(0)
    rows = [(m, s, f, *rng.random(2)) for m in METHODS for s in SCORES for f in FRAMES[1:-1]]
    pd.DataFrame(rows, columns=["method", "sequence", "frame", "J", "F"]).to_csv(
        reports / "plots/j_over_time.csv", index=False
    )
    for name, x, values in (
        ("success", "threshold", np.linspace(0, 1, 21)),
        ("precision", "threshold", np.arange(51)),
        ("j_by_position", "position", np.linspace(0, 100, 51)),
        ("f_by_position", "position", np.linspace(0, 100, 51)),
    ):
        table = pd.DataFrame({x: values, **{method: rng.random(len(values)) for method in METHODS}})
        table.to_csv(reports / f"plots/{name}.csv", index=False)
    steps = np.arange(0, 60, 10)
    pretrain = pd.DataFrame({"step": steps, "loss_mask": 1 / (steps + 1), "loss_classifier": 2 / (steps + 1)})
    pretrain.to_csv(reports / "pretrain_fpn/curves.csv", index=False)
    tracking = pd.DataFrame({"step": steps, "mask": 1 / (steps + 1), "score": 2 / (steps + 1)})
    tracking.to_csv(reports / "train_tracking/curves.csv", index=False)
    pd.DataFrame({"step": [100, 200], "J&F": [0.5, 0.6], "J": [0.5, 0.6], "F": [0.5, 0.6]}).to_csv(
        reports / "train_tracking/validation.csv", index=False
    )
    (reports / "pretrain_fpn/metrics.json").write_text(json.dumps({"box": {"AP": 0.1234}, "images": 16}))
    (reports / "validate/metrics.json").write_text(json.dumps({"J&F": 0.5678, "J": 0.5612, "F": 0.5744}))
    (reports / "ablations.csv").write_text(ABLATIONS)
    for index, name in enumerate(SCORES):
        write_sequence(root, name, shard=index % 2)


def write_sequence(root: Path, name: str, shard: int) -> None:
    images, masks = root / "data/davis/JPEGImages/480p" / name, root / "data/davis/Annotations/480p" / name
    result = root / "results/davis" / str(shard) / name
    for folder in (images, masks, result):
        folder.mkdir(parents=True)
    labels = np.zeros((36, 64), dtype=np.uint8)
    labels[10:20, 10:30], labels[22:30, 40:60] = 1, 2
    tracks = []
    for frame in FRAMES:
        cv2.imwrite(str(images / f"{frame}.jpg"), np.full((36, 64, 3), 90, dtype=np.uint8))
        write_labels(masks / f"{frame}.png", labels)
        write_labels(result / f"{frame}.png", np.roll(labels, 3, axis=1))
        tracks += [(frame, 1, 0, 10, 10, 30, 20, 0.9), (frame, 1, 1, 10, 10, 20, 20, 0.8)]
    columns = ["frame", "object", "part", "x1", "y1", "x2", "y2", "score"]
    pd.DataFrame(tracks, columns=columns).to_csv(result / "tracks.csv", index=False)


def parameters(source: str = "synthetic", year: int = 2017) -> SimpleNamespace:
    data = SimpleNamespace(coco=SimpleNamespace(source=source), davis=SimpleNamespace(source=source, year=year))
    return SimpleNamespace(data=data)


@dataclass(frozen=True)
class Report:
    """A written page: its text, the metrics.json it shows and the names of the logged artifacts."""

    text: str
    metrics: dict
    logged: list[str]


def run_in(root: Path, monkeypatch: pytest.MonkeyPatch, params: SimpleNamespace) -> Report:
    logged: list[str] = []
    monkeypatch.chdir(root)
    report.run(params, SimpleNamespace(artifact=lambda path: logged.append(path.name)))
    text = (root / "reports/index.html").read_text(encoding="utf-8")
    return Report(text, json.loads((root / "reports/metrics.json").read_text()), logged)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_run(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Report:
    root = tmp_path_factory.mktemp("project")
    write_run(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        return run_in(root, monkeypatch, parameters())


def test_page_fetches_nothing_and_its_links_have_targets(page):
    parsed = Page(page.text)
    assert parsed.fetched
    assert all(address.startswith("data:") for address in parsed.fetched)
    assert not re.search(r"@import|url\(|<script|<iframe", page.text)
    assert set(parsed.anchors) <= parsed.ids
    assert parsed.images == 5 * 5 + 5 + 7  # stills, J of each sequence, charts over all sequences


def test_page_has_every_sequence_and_the_numbers_of_metrics_json(page):
    cells = set(re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", page.text))
    ours, baselines = page.metrics["ours"], page.metrics["baselines"]
    for name, values in ours["sequences"].items():
        assert {name, *(f"{values[key]:.3f}" for key in ("J&F", "J", "F"))} <= cells
        assert {f"{baseline['sequences'][name]['J&F']:.3f}" for baseline in baselines.values()} <= cells
    for method in (ours, *baselines.values()):
        assert f"{method['J&F']:.3f}" in cells
        statistics = [value for measure in ("J", "F") for value in method[measure].values()]
        assert {f"{value:.3f}".replace("-", "−") for value in statistics} <= cells
    assert {"0.123", "0.568", "0.561", "0.818", "0.810"} <= cells  # AP, held-out J&F and J, RGMP, FAVOS


def test_names_and_parameters_are_escaped(page):
    assert "synthetic &lt;b&gt;videos&lt;/b&gt;" in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text


def test_parameters_are_those_of_metrics_json_and_not_of_the_working_directory(project, monkeypatch, page):
    (project / "params.yaml").write_text("preset: full\n")
    text = run_in(project, monkeypatch, parameters()).text
    assert "segmentation.parts=6" in text
    assert text == page.text


def test_best_median_and_worst_are_shown_in_order(page):
    shown = re.findall(r'<span class="role">(\w+)</span>: ([\w-]+),', page.text)
    assert shown == [("best", "camel"), ("median", "dog"), ("worst", "kite-surf")]


def test_other_sequences_are_shown_by_name(page):
    assert re.findall(r"<summary>([\w-]+), J", page.text) == ["goat", "libby"]


def test_films_of_best_median_and_worst_have_all_frames(page):
    films = re.findall(r'src="data:video/mp4;base64,([^"]+)"', page.text)
    assert len(films) == 3
    with av.open(BytesIO(base64.b64decode(films[0]))) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(pictures) == len(FRAMES)
    assert pictures[0].shape == (270, 480, 3)
    tinted, plain = pictures[0][112, 120].astype(int), pictures[0][250, 20].astype(int)
    assert np.abs(plain - 90).max() < 8
    assert tinted[2] > tinted[0] + 40  # object 1 is blue


def test_a_synthetic_run_is_marked_as_not_comparable(page):
    assert "Not comparable. This run was measured on rendered, synthetic videos" in page.text


def test_page_and_figures_are_logged(page):
    assert page.logged == ["index.html", "figures"]


def test_same_inputs_give_the_same_bytes(page, project, monkeypatch):
    assert run_in(project, monkeypatch, parameters()).text == page.text


@pytest.mark.parametrize(
    "file",
    [
        "reports/metrics.json",
        "reports/plots/j_over_time.csv",
        "reports/plots/j_by_position.csv",
        "reports/plots/f_by_position.csv",
        "reports/plots/success.csv",
        "reports/plots/precision.csv",
        "reports/pretrain_fpn/curves.csv",
        "reports/pretrain_fpn/metrics.json",
        "reports/train_tracking/curves.csv",
        "reports/train_tracking/validation.csv",
        "reports/validate/metrics.json",
        "reports/ablations.csv",
        "results/davis/0/camel/tracks.csv",
        "results/davis/0/camel/00000.png",
        "data/davis/JPEGImages/480p/camel/00000.jpg",
    ],
)
def test_missing_file_is_named_and_nothing_is_written(project, monkeypatch, file):
    (project / file).unlink()
    with pytest.raises(UserError, match=re.escape(file.removesuffix(".jpg"))) as error:
        run_in(project, monkeypatch, parameters())
    assert "\n" not in str(error.value)
    assert not (project / "reports/index.html").exists()


def test_a_run_without_pretraining_says_so(project, monkeypatch):
    (project / "reports/pretrain_fpn/metrics.json").write_text("{}")
    (project / "reports/pretrain_fpn/curves.csv").write_text("step\n")
    text = run_in(project, monkeypatch, parameters()).text
    assert "Skipped in this run (pretrain_fpn.steps: 0)" in text
    assert "AP is measured" not in text


def test_pretraining_without_detection_has_losses_but_no_ap(project, monkeypatch):
    (project / "reports/pretrain_fpn/metrics.json").write_text("{}")
    text = run_in(project, monkeypatch, parameters()).text
    assert "Skipped in this run" not in text
    assert "Losses on the training batches." in text
    assert "AP is measured" not in text


def test_ablations_show_the_difference_from_the_complete_network(page):
    assert 'href="#ablations"' in page.text
    assert "0123456" in page.text
    row = page.text[page.text.index("without &lt;parts&gt;") :]
    assert re.findall(r"<td[^>]*>([^<]*)</td>", row)[:5] == ["0.795", "−0.017", "0.829", "0.761", "0.102"]


def test_without_ablations_there_is_no_table(project, monkeypatch):
    (project / "reports/ablations.csv").write_text(ABLATIONS.splitlines()[0])
    assert "blations" not in run_in(project, monkeypatch, parameters()).text


def test_damaged_file_is_named(project, monkeypatch):
    (project / "reports/metrics.json").write_text("{")
    with pytest.raises(UserError, match=r"reports/metrics\.json: cannot be read"):
        run_in(project, monkeypatch, parameters())


def test_sequence_without_result_is_named(project, monkeypatch):
    (project / "results/davis/0/camel").rename(project / "elsewhere")
    with pytest.raises(UserError, match="results/davis: lacks camel"):
        run_in(project, monkeypatch, parameters())


def test_stage_loads_no_torch():
    code = "import sys, partprop.stages.report; print({'torch', 'torchvision', 'mlflow'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
