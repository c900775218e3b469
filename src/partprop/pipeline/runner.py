"""Runs a stage as dvc.yaml declares it: with its parameters, its number of threads and its run in MLflow."""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from partprop.base.errors import UserError, full_disk_as_user_error
from partprop.params import Params, load_params
from partprop.pipeline.declared import DeclaredParams, declared_keys, declared_values
from partprop.pipeline.failures import forget_failure, record_failure
from partprop.pipeline.sources import note_sources
from partprop.pipeline.splits import require_sequences
from partprop.process.parent import end_with_parent, repeat_after_parent

PARAMS = Path("params.yaml")
PIPELINE = Path("dvc.yaml")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def run_stage(name: str, shard: int | None = None) -> None:
    """Run a stage in the working directory, the root of the repository.

    Raises:
        UserError: the input is not right. As for any other failure, its line is kept for Snakemake to repeat.
    """
    stage = name if shard is None else f"{name}@{shard}"
    forget_failure(stage)
    end_with_parent()
    try:
        with full_disk_as_user_error():
            _run(name, shard, stage)
    except UserError as error:
        record_failure(stage, str(error))
        repeat_after_parent(" ".join(str(error).split()))
        raise
    except Exception as error:
        record_failure(stage, f"stage {stage}: {type(error).__name__}: {error}")
        raise


def _run(name: str, shard: int | None, stage: str) -> None:
    params = load_params(PARAMS)
    require_sequences(params)
    keys = declared_keys(name, PIPELINE)
    _require_shard(name, shard, params)
    if name.startswith("download_") or name == "backbone":
        note_sources(params)  # for plain dvc, which cannot look at a source before it starts the stage
    values = declared_values(params, keys)
    set_threads(threads_of(values))

    # Only now: numpy and torch read the number of threads when they are imported.
    from partprop.pipeline.runs import start_run

    arguments = [] if shard is None else [shard]
    with start_run(stage, values) as log:
        import_module(f"partprop.stages.{name}").run(DeclaredParams(params, name, keys), log, *arguments)


def _require_shard(name: str, shard: int | None, params: Params) -> None:
    if name != "infer" and shard is not None:
        raise UserError(f"--shard {shard}: stage {name} has no shards; leave it out")
    if name == "infer" and shard is None:
        raise UserError(f"stage {name}: runs in shards; add --shard with one of {params.infer.shards}")
    if shard is not None and shard not in params.infer.shards:
        raise UserError(f"--shard {shard}: not in infer.shards of {PARAMS}")


def threads_of(declared: Mapping[str, Any]) -> int:
    """The value of the stage's declared parameter `threads`, or 1 if it declares none.

    Args:
        declared: values by dotted key, as returned by `declared_values`.
    """
    return next((int(value) for key, value in declared.items() if key.endswith(".threads")), 1)


def set_threads(count: int) -> None:
    """Give the libraries that this process will import their number of threads, which decides their last digits.

    Snakemake sets it too, plain dvc does not: both must give the same results. Threads that spin while they wait would
    take the time of the one that prepares batches.
    """
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(count)))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
