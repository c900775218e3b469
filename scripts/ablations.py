"""Train the network without one of its parts at a time and measure each on the held-out training sequences.

    cp presets/cpu.yaml params.yaml && .venv/bin/python scripts/ablations.py

Every variant is an experiment of DVC (`dvc exp run --temp`) over the parameters of params.yaml, with the short schedule
and the held-out sequences of its section `ablations`, several side by side; all that is upstream of a change, such as
the pre-trained FPN, is shared through DVC's cache and has to be there (`dvc repro pretrain_fpn`). Writes
reports/ablations.csv, again after each variant, and prints it. What was measured with the same code, data and
parameters is not run again, and a variant that was interrupted goes on from its checkpoint. To be run from the root of
the checkout; files that git does not know are not part of an experiment.
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
REPORT = paths.REPORTS / "train_tracking"
VARIANTS = {
    "complete": [],
    "without parts": ["segmentation.parts=0", "train_tracking.parts=0"],
    "without pixel correlation": ["model.pixel_correlation=false"],
    "without previous frame": ["model.previous_frame=false"],
    "without FPN pre-training": ["pretrain_fpn.steps=0"],
    "with FPN pre-training": ["pretrain_fpn.steps=500"],
    "without clips of still images": ["train_tracking.still_share=0"],
    "with clips of still images": ["train_tracking.still_share=0.3"],
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
    """The complete network, and the variants whose parameters it does not have already."""
    given = params.model_dump()

    def is_new(change: str) -> bool:
        key, _, value = change.partition("=")
        section, name = key.split(".")
        return bool(given[section][name] != yaml.safe_load(value))

    return {name: changes for name, changes in VARIANTS.items() if not changes or any(map(is_new, changes))}


def write_table(rows: list[dict[str, object]]) -> None:
    """Write the variants measured so far, the complete network first."""
    with atomic_write(TABLE) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def require_shared_fpn() -> None:
    """Check that the FPN which the variants start from is in DVC's cache.

    Raises:
        UserError: it is not, so that every variant would train one of its own.
    """
    with Repo() as repo:
        if repo.status(targets=["pretrain_fpn"], with_deps=True):
            raise UserError("models/fpn.safetensors: out of date; all variants start from it: dvc repro pretrain_fpn")


def measure_all(variants: dict[str, list[str]], settings: Ablations) -> Iterator[tuple[str, dict[str, str]]]:
    """Each variant with its measures, in order; after a failure no further one is begun."""
    with ThreadPoolExecutor(settings.jobs) as pool:
        futures = {variant: pool.submit(measure, variant, changes, settings) for variant, changes in variants.items()}

        def stop_after_failure(future: Future[dict[str, str]]) -> None:
            if not future.cancelled() and future.exception() is not None:
                pool.shutdown(wait=False, cancel_futures=True)

        for future in futures.values():
            future.add_done_callback(stop_after_failure)
        try:
            for variant, future in futures.items():
                yield variant, future.result()
        finally:  # an interruption, too, would else wait for those that have not begun
            pool.shutdown(cancel_futures=True)


def measure(variant: str, changes: list[str], settings: Ablations) -> dict[str, str]:
    """Measures of a variant on the held-out sequences, all frames, and seconds per frame."""
    state = [pipeline_state(ROOT), SOURCES.read_text(encoding="utf-8"), *changes]
    name = f"ablation-{variant.replace(' ', '-')}-{hashlib.sha256(repr(state).encode()).hexdigest()[:8]}"
    if find_experiment(name) is None:
        run_experiment(name, changes, settings)
    revision = find_experiment(name)
    if revision is None:
        raise UserError(f"{name}: `dvc exp run` kept no such experiment; see what it printed above")
    scores, speed = (
        json.loads(dvc.api.read(str(REPORT / f"{file}.json"), rev=revision)) for file in ("metrics", "speed")
    )
    measured = {measure: f"{scores[measure]:.3f}" for measure in MEASURES}
    return measured | {"seconds_per_frame": f"{speed['seconds_per_frame']:.3f}"}


def find_experiment(name: str) -> str | None:
    """The commit in which DVC keeps an experiment; of any baseline, for the name says what ran."""
    refs = _run(["git", "for-each-ref", "--format=%(objectname) %(refname)", "refs/exps"]).splitlines()
    return next((ref.split()[0] for ref in refs if ref.endswith(f"/{name}")), None)


def run_experiment(name: str, changes: list[str], settings: Ablations) -> None:
    """Train and measure with changed parameters in a folder of DVC's own; the work tree stays as it is."""
    common = {
        "steps": settings.steps,
        "validate_every": settings.steps,
        "held_out": f"[{','.join(settings.held_out)}]",
        "threads": settings.threads,
    }
    changes = [*(f"train_tracking.{key}={value}" for key, value in common.items()), *changes]
    command = [str(Path(sys.executable).parent / "dvc"), "exp", "run", "--temp", "--name", name]
    for change in changes:
        command += ["--set-param", change]
    print(f"{name}: {' '.join(changes)}", flush=True)
    if subprocess.run([*command, "train_tracking"], cwd=ROOT, check=False).returncode:
        raise UserError(f"{name}: `dvc exp run` failed; see above, and start again to go on")


def _run(command: list[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
