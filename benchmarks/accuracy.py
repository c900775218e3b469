"""Measure J&F of trained weights on videos in DAVIS layout, without the pipeline.

    .venv/bin/python benchmarks/accuracy.py ../videos --year 2017
    .venv/bin/python benchmarks/accuracy.py data/davis --split val --shipped
    .venv/bin/python benchmarks/accuracy.py data/davis --split val --shipped --single-precision

The first command segments every video of a folder with models/tracker.safetensors and the settings of params.yaml, with
the objects of each video kept apart. The second checks the weights that come with the package against their model card,
run as `partprop segment` runs them: in half precision on a processor with bfloat16. The third runs them in single
precision, as the pipeline does; the model card has the scores of the pipeline.

A run on exactly the validation sequences of DAVIS appends a row to reports/validation_runs.csv.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

import numpy as np

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS
from partprop.base.threads import use_threads
from partprop.data.labels import object_ids
from partprop.data.video import Video, open_davis
from partprop.evaluation.validation_runs import ValidationRun, record_run
from partprop.metrics.bootstrap import bootstrap_interval
from partprop.model.network import Network
from partprop.params import load_params
from partprop.pipeline.trained import load_trained
from partprop.pretrained import LITE0, Segmenter, load_pretrained
from partprop.process.allocator import keep_freed_pages
from partprop.tracking.settings import Settings
from partprop.tracking.validation import validate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="folder with JPEGImages and Annotations")
    parser.add_argument("--split", help="train or val, as listed in ImageSets (default: all videos)")
    parser.add_argument("--year", type=int, choices=(2016, 2017), default=2016, help="2016: one object per video")
    parser.add_argument("--shipped", action="store_true", help="use the weights that come with the package")
    parser.add_argument("--single-precision", action="store_true", help="with --shipped: compute as the pipeline does")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.single_precision and not arguments.shipped:
        parser.error("--single-precision: needs --shipped; without it, single precision is used anyway")
    keep_freed_pages()
    use_threads(arguments.threads)
    try:
        network, settings = _load(arguments.shipped, arguments.single_precision)
        videos = open_davis(arguments.davis, arguments.split, arguments.year)
        scores, seconds = validate(network, settings, videos, None)
        for name, value in scores.items():
            print(f"{name:28s} {value:.4f}")
        print(f"{1 / seconds:.1f} frames per second, reading included")
        if arguments.shipped:
            print(f"J&F of the model card: {_model_card_score()}")
        run = _validation_run(arguments.shipped, arguments.threads, scores, videos)
        record_run(run, str(arguments.davis), arguments.year, [video.name for video in videos])
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _load(shipped: bool, single_precision: bool) -> tuple[Network, Settings]:
    if not shipped:
        return load_trained(load_params(PARAMS))
    if single_precision:
        return load_pretrained(LITE0)
    segmenter = Segmenter()
    return segmenter.network, segmenter.settings


def _validation_run(shipped: bool, threads: int, scores: dict[str, float], videos: list[Video]) -> ValidationRun:
    params = None if shipped else load_params(PARAMS)
    counts = np.array([_count_objects(video) for video in videos])
    low, high = bootstrap_interval(np.array([scores[f"J&F {video.name}"] for video in videos]) * counts, counts)
    return ValidationRun(
        preset="shipped weights" if params is None else params.preset,
        seed=None if params is None else params.seed,
        threads=threads,
        j_and_f=scores["J&F"],
        j=scores["J"],
        f=scores["F"],
        low=low,
        high=high,
        command=shlex.join(["benchmarks/accuracy.py", *sys.argv[1:]]),
    )


def _count_objects(video: Video) -> int:
    """Number of objects in the first mask, which are all objects of a DAVIS sequence."""
    labels = video.labels(0)
    return 0 if labels is None else len(object_ids(labels))


def _model_card_score() -> str:
    card = LITE0.with_name("README.md")
    found = re.search(r"\| J&F \| ([\d.]+)", card.read_text(encoding="utf-8")) if card.exists() else None
    return found[1] if found else f"not found in {card}"


if __name__ == "__main__":
    main()
