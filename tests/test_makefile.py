"""`make clean` deletes what the pipeline wrote and nothing that is in git."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]


def clean(folder: Path) -> None:
    shutil.copy(ROOT / "Makefile", folder)
    subprocess.run(["make", "clean"], cwd=folder, check=True, capture_output=True)


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("", encoding="utf-8")


def test_clean_deletes_outputs_and_keeps_what_is_in_git(tmp_path: Path) -> None:
    outputs = (
        "data/coco/val2017/1.jpg",
        "data/davis/ImageSets/2016/val.txt",
        "data/.leftover-part1",
        "models/tracker.safetensors",
        "results/davis/0/camel/00000.png",
        "reports/index.html",
    )
    kept = ("data/README.md", "models/LICENSE.md", "reports/metrics.json", ".dvc/cache/files", "mlflow.db")
    write(tmp_path, *outputs, *kept)
    clean(tmp_path)
    assert not [name for name in outputs if (tmp_path / name).exists()]
    assert not (tmp_path / "data" / "coco").exists()
    assert [name for name in kept if (tmp_path / name).exists()] == list(kept)


def test_clean_has_nothing_to_do_in_a_folder_without_outputs(tmp_path: Path) -> None:
    clean(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["Makefile"]


def test_git_sees_the_readme_of_data_and_nothing_else_there() -> None:
    paths = "data/README.md\ndata/coco/val2017/1.jpg\ndata/davis/x.png\n"
    command = ["git", "check-ignore", "--no-index", "--stdin"]
    done = subprocess.run(command, cwd=ROOT, input=paths, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["data/coco/val2017/1.jpg", "data/davis/x.png"]
