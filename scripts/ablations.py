"""Train the network with one component removed or added at a time, and score each variant on the held-out videos.

    cp presets/cpu.yaml params.yaml && .venv/bin/python scripts/ablations.py

Run it from the root of the checkout. Each variant is a DVC experiment (`dvc exp run --temp`) up to the stage
`validate`, with the parameters of params.yaml and the short schedule and held-out videos of its section `ablations`;
several run in parallel. Most variants share the pre-trained FPN of params.yaml through DVC's cache; it must be there
already (`dvc repro pretrain_fpn`). Files unknown to git are not part of an experiment.

Writes reports/ablations.csv after each variant and prints it at the end. A variant already measured with the same code,
data and parameters is not run again, and an interrupted variant resumes from its checkpoint.
"""

import argparse
import csv
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dvc.api
import yaml
from dvc.repo import Repo

from partprop.base import paths
from partprop.base.code_version import code_version
from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.base.paths import PARAMS, SOURCES
from partprop.params import Ablations, Params, load_params
from partprop.pipeline.runs import pipeline_state

ROOT = Path()
TABLE = paths.REPORTS / "ablations.csv"
REPORT = paths.REPORTS / "validate"
COMPLETE = "complete"  # the network of params.yaml
VARIANTS = {
    COMPLETE: [],
    "without parts": ["segmentation.parts=0", "train_tracking.parts=0"],
    "without pixel correlation": ["model.pixel_correlation=false"],
    "without previous frame": ["model.previous_frame=false"],
    "without pre-training": ["pretrain_fpn.steps=0"],
    "without detection in pre-training": ["pretrain_fpn.batch=0"],
    "with fixed keys": ["pretrain_fpn.pairs=0", "pretrain_fpn.backbone_lr_scale=0.0", "model.learnt_keys=false"],
    "without static images": ["train_tracking.still_weights.static=0.0"],
    "without clips of still images": ["train_tracking.still_share=0"],
    "with longer clips at the end": ["train_tracking.late_share=0.2"],
    "without correlation filter": ["model.correlation_filter=false"],
    "with learnt keys": ["model.learnt_keys=true"],
    "without memory of recent frames": ["segmentation.memory_every=0"],
}
MEASURES = ("J&F", "J", "F")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    try:
        params = load_params(PARAMS)
        version = code_version()
        constant = {
            "preset": params.preset,
            "steps": params.ablations.steps,
            "sequences": len(params.ablations.held_out),
            "commit": version.commit[:7] + ("+" if version.modified else "") if version else "",
        }
        require_shared_fpn()
        rows: list[dict[str, object]] = []
        for variant, measured in measure_all(variants_of(params), params.ablations):
            rows.append({"variant": variant, "parameters": " ".join(VARIANTS[variant]), **measured, **constant})
            write_table(rows)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(TABLE.read_text(encoding="utf-8"))


def variants_of(params: Params) -> dict[str, list[str]]:
    """Return the changed parameters of the complete network (none) and of each variant that differs from it."""
    given = params.model_dump()
    if params.data.static.source == "none":
        given["train_tracking"]["still_weights"]["static"] = 0.0

    def is_new(change: str) -> bool:
        key, _, value = change.partition("=")
        old: Any = given
        for name in key.split("."):
            old = old[name]
        return bool(old != yaml.safe_load(value))

    return {name: changes for name, changes in VARIANTS.items() if not changes or any(map(is_new, changes))}


def write_table(rows: list[dict[str, object]]) -> None:
    """Write the variants measured so far to reports/ablations.csv, the complete network first."""
    with atomic_write(TABLE) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def require_shared_fpn() -> None:
    """Check that the FPN that most variants start from is up to date.

    Raises:
        UserError: it is not; each variant would train its own.
    """
    with Repo() as repo:
        if repo.status(targets=["pretrain_fpn"], with_deps=True):
            raise UserError(
                "models/fpn.safetensors: out of date, but most variants start from it; dvc repro pretrain_fpn"
            )


def measure_all(variants: dict[str, list[str]], settings: Ablations) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each variant and its measures, in order; after a failure no further variant starts.

    A variant that changes only `segmentation` uses the weights of the complete network. It waits for these, because two
    processes must not run the same training.
    """
    with ThreadPoolExecutor(settings.jobs) as pool:
        futures: dict[str, Future[dict[str, str]]] = {}
        for variant, changes in variants.items():
            trained_by = futures.get(COMPLETE) if _trains_nothing(changes) else None
            futures[variant] = pool.submit(measure, variant, changes, settings, trained_by)

        def stop_after_failure(future: Future[dict[str, str]]) -> None:
            if not future.cancelled() and future.exception() is not None:
                pool.shutdown(wait=False, cancel_futures=True)

        for future in futures.values():
            future.add_done_callback(stop_after_failure)
        try:
            for variant, future in futures.items():
                yield variant, future.result()
        finally:  # otherwise an interruption would wait for the variants that have not started
            pool.shutdown(cancel_futures=True)


def _trains_nothing(changes: list[str]) -> bool:
    return bool(changes) and all(change.startswith("segmentation.") for change in changes)


def measure(
    variant: str, changes: list[str], settings: Ablations, trained_by: Future[dict[str, str]] | None
) -> dict[str, str]:
    """Return J&F, J, F of a variant on all frames of the held-out videos, and its seconds per frame, as text.

    Args:
        trained_by: the measurement to wait for, since it trains the weights of this variant; None if it trains its own.
    """
    if trained_by is not None:
        trained_by.result()
    state = [pipeline_state(ROOT), SOURCES.read_text(encoding="utf-8"), *changes]
    name = f"ablation-{variant.replace(' ', '-')}-{hashlib.sha256(repr(state).encode()).hexdigest()[:8]}"
    if find_experiment(name) is None:
        run_experiment(name, changes, settings)
    revision = find_experiment(name)
    if revision is None:
        raise UserError(f"{name}: `dvc exp run` saved no such experiment; see its output above")
    scores, speed = (
        json.loads(dvc.api.read(str(REPORT / f"{file}.json"), rev=revision)) for file in ("metrics", "speed")
    )
    measured = {measure: f"{scores[measure]:.3f}" for measure in MEASURES}
    return measured | {"seconds_per_frame": f"{speed['seconds_per_frame']:.3f}"}


def find_experiment(name: str) -> str | None:
    """Return the commit of an experiment of any baseline, since its name identifies what ran; None if there is none."""
    refs = _run(["git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"]).splitlines()
    return next((ref.split()[0] for ref in refs if ref.endswith(f"/{name}")), None)


def run_experiment(name: str, changes: list[str], settings: Ablations) -> None:
    """Run the stages up to `validate` with changed parameters in a temporary folder; the work tree stays as it is."""
    common = {
        "steps": settings.steps,
        "validate_every": settings.steps,
        "held_out": f"[{','.join(settings.held_out)}]",
        "threads": settings.threads,
    }
    shared = [f"train_tracking.{key}={value}" for key, value in common.items()]
    if any(change.startswith("pretrain_fpn.") for change in changes):  # the shared FPN keeps its number of threads
        shared.append(f"pretrain_fpn.threads={settings.threads}")
    changes = [*shared, *changes]
    command = [str(Path(sys.executable).parent / "dvc"), "exp", "run", "--temp", "--name", name]
    for change in changes:
        command += ["--set-param", change]
    print(f"{name}: {' '.join(changes)}", flush=True)
    if subprocess.run([*command, "validate"], cwd=ROOT, check=False).returncode:
        raise UserError(f"{name}: `dvc exp run` failed; see its output above, and run this script again to resume")


def _run(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
