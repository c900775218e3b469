"""Time `partprop evaluate` against vos-benchmark and plain implementations of the measures; report its memory.

    .venv/bin/python benchmarks/evaluate.py data/davis

The predictions are the annotations of the validation videos of DAVIS 2016, shifted by a few pixels. All evaluators read
the same files. partprop and vos-benchmark use the same number of processes, which start anew in each round. The plain
implementations use one process: one dilates boundaries by discs, as the official code does, the other uses distance
transforms, as the tests of F do. The first run creates the environment `.venv-vos` beside the project's `.venv` and
installs vos-benchmark in it, which depends on opencv-python.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
from other_environment import python_with
from PIL import Image
from scipy.ndimage import distance_transform_edt

from partprop.base.errors import UserError
from partprop.data.video import split_names

ENVIRONMENT = ".venv-vos"
PACKAGE = "vos-benchmark==0.1.0"
SHIFT = (3, 4)  # rows, columns
VOS_BENCHMARK = """
import json, sys
from vos_benchmark.benchmark import benchmark
if __name__ == "__main__":
    j_and_f, j, f, _ = benchmark([sys.argv[1]], [sys.argv[2]], num_processes=int(sys.argv[3]), verbose=False)
    print(json.dumps([j_and_f[0] / 100, j[0] / 100, f[0] / 100]))
"""

Measured = tuple[float, float, float]
"""J&F, J, F, means in [0, 1]."""
Near = Callable[[np.ndarray, int], np.ndarray]
"""Maps a boundary, bool (H, W), and a radius in pixels to the mask of the pixels within that radius of it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="DAVIS folder")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median is reported")
    arguments = parser.parse_args()
    try:
        names = split_names(arguments.davis, "val", 2016)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    python = python_with(PACKAGE, ENVIRONMENT)
    with tempfile.TemporaryDirectory() as temporary:
        truths, predictions = Path(temporary) / "truths", Path(temporary) / "predictions"
        for name in names:
            shutil.copytree(arguments.davis / "Annotations" / "480p" / name, truths / name)
        shift_all(truths, predictions)
        compare(truths, predictions, python, arguments.jobs, arguments.rounds)


def compare(truths: Path, predictions: Path, python: Path, jobs: int, rounds: int) -> None:
    """Print the seconds of each evaluator, their ratio to ours, and its scores."""
    evaluators: dict[str, Callable[[], Measured]] = {
        "partprop": lambda: run_ours(truths, predictions, jobs),
        "vos-benchmark": lambda: run_vos_benchmark(truths, predictions, python, jobs),
        "plain, discs": lambda: run_plain(truths, predictions, _near_by_disc),
        "distances": lambda: run_plain(truths, predictions, _near_by_distance),
    }
    seconds: dict[str, list[float]] = {name: [] for name in evaluators}
    measured: dict[str, Measured] = {}
    for _ in range(rounds):
        for name, evaluate in evaluators.items():
            started = time.perf_counter()
            measured[name] = evaluate()
            seconds[name].append(time.perf_counter() - started)
    ours = statistics.median(seconds["partprop"])
    print(f"{len(list(truths.glob('*/*.png')))} frames, {jobs} processes (plain: 1), median of {rounds} rounds")
    for name, times in seconds.items():
        values = "  ".join(f"{value:.6f}" for value in measured[name])
        print(
            f"{name:14s} {statistics.median(times):6.2f} s  {statistics.median(times) / ours:5.1f}x  J&F, J, F {values}"
        )
    print(f"partprop: at most {_peak_memory(_command(truths, predictions, jobs)):.0f} MiB in all processes together")


def shift_all(source: Path, target: Path) -> None:
    """Write every mask of `source` to `target` in the same format, shifted by SHIFT."""
    for file in source.glob("*/*.png"):
        with Image.open(file) as image:
            moved = Image.fromarray(np.roll(np.array(image), SHIFT, (0, 1)), image.mode)
        (target / file.parent.name).mkdir(parents=True, exist_ok=True)
        moved.save(target / file.parent.name / file.name)


def run_ours(truths: Path, predictions: Path, jobs: int) -> Measured:
    """Run `partprop evaluate` in a new process; its start counts."""
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "metrics.json"
        subprocess.run([*_command(truths, predictions, jobs), "--json", str(file)], check=True, capture_output=True)
        metrics = json.loads(file.read_text(encoding="utf-8"))
    return metrics["J&F"], metrics["J"]["mean"], metrics["F"]["mean"]


def run_vos_benchmark(truths: Path, predictions: Path, python: Path, jobs: int) -> Measured:
    """Run vos-benchmark in a new process; its start counts."""
    command = [str(python), "-c", VOS_BENCHMARK, str(truths), str(predictions), str(jobs)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    j_and_f, j, f = json.loads(done.stdout.splitlines()[-1])
    return j_and_f, j, f


def run_plain(truths: Path, predictions: Path, near: Near) -> Measured:
    """Compute the measures as they are defined, on whole frames in one process."""
    by_video = []
    for folder in sorted(truths.iterdir()):
        masks = sorted(folder.glob("*.png"))[1:-1]
        by_video.append(np.mean([_plain(mask, predictions / folder.name / mask.name, near) for mask in masks], axis=0))
    j, f = np.mean(by_video, axis=0)
    return float((j + f) / 2), float(j), float(f)


def _plain(true_file: Path, predicted_file: Path, near: Near) -> tuple[float, float]:
    truth, predicted = (np.array(Image.open(file)) > 0 for file in (true_file, predicted_file))
    union = (truth | predicted).sum()
    j = (truth & predicted).sum() / union if union else 1.0
    radius = int(np.ceil(0.008 * np.hypot(*truth.shape)))
    edges = [_plain_boundary(mask) for mask in (truth, predicted)]
    if not edges[0].any() or not edges[1].any():
        return j, float(edges[0].any() == edges[1].any())
    recall, precision = near(edges[1], radius)[edges[0]].mean(), near(edges[0], radius)[edges[1]].mean()
    return j, 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _near_by_disc(edge: np.ndarray, radius: int) -> np.ndarray:
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
    return cv2.dilate(edge.astype(np.uint8), disc) > 0


def _near_by_distance(edge: np.ndarray, radius: int) -> np.ndarray:
    return distance_transform_edt(~edge) <= radius


def _plain_boundary(mask: np.ndarray) -> np.ndarray:
    right, below, diagonal = mask.copy(), mask.copy(), mask.copy()
    right[:, :-1], below[:-1], diagonal[:-1, :-1] = mask[:, 1:], mask[1:], mask[1:, 1:]
    diagonal[-1, :-1], diagonal[:-1, -1] = mask[-1, 1:], mask[1:, -1]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def _command(truths: Path, predictions: Path, jobs: int) -> list[str]:
    program = str(Path(sys.executable).parent / "partprop")
    return [program, "evaluate", str(predictions), str(truths), "--jobs", str(jobs)]


def _peak_memory(command: list[str]) -> float:
    """Peak memory of a command and its children in MiB, sampled every 20 ms; shared pages count once."""
    peak = 0
    with psutil.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            used = 0
            for each in [process, *process.children(recursive=True)]:
                try:
                    used += each.memory_full_info().pss
                except psutil.Error:  # the process has just ended
                    continue
            peak = max(peak, used)
            time.sleep(0.02)
    return peak / 2**20


if __name__ == "__main__":
    main()
