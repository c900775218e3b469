"""Runs one stage as dvc.yaml declares it: with its parameters, its thread count and its MLflow run."""

from importlib import import_module

from partprop.base.disk import full_disk_as_user_error
from partprop.base.errors import UserError
from partprop.base.paths import PARAMS, PIPELINE
from partprop.base.threads import set_thread_variables
from partprop.params import Params, load_params
from partprop.pipeline.declared import Declaration, DeclaredParams, declared_values, read_declaration
from partprop.pipeline.failures import clear_failure, record_failure
from partprop.pipeline.sources import update_sources
from partprop.pipeline.splits import require_sequences
from partprop.process.parent import end_with_parent, repeat_after_parent


def run_stage(name: str, shard: int | None = None) -> None:
    """Run a stage in the working directory, which must be the root of the repository.

    Args:
        name: a stage of dvc.yaml, the name of its module in `partprop.stages`.
        shard: for a foreach stage, which one to run.

    Raises:
        UserError: an input is wrong. Its message, like that of any other error, is kept for Snakemake to repeat.
    """
    stage = name if shard is None else f"{name}@{shard}"
    clear_failure(stage)
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
    declared = read_declaration(name, PIPELINE)
    _require_shard(name, shard, declared, params)
    if declared.reads_sources:
        update_sources(params)  # for plain dvc, which cannot check a source before it starts the stage
    view = DeclaredParams(params, name, declared.keys)
    set_thread_variables(declared.threads(view))

    # Imported here: NumPy and PyTorch read the thread count when they are imported.
    from partprop.pipeline.runs import start_run

    arguments = [] if shard is None else [shard]
    with start_run(stage, declared_values(params, declared.keys)) as log:
        import_module(f"partprop.stages.{name}").run(view, log, *arguments)


def _require_shard(name: str, shard: int | None, declared: Declaration, params: Params) -> None:
    shards = declared.shards(params)
    if shards is None and shard is not None:
        raise UserError(f"--shard {shard}: stage {name} has no shards; leave it out")
    if shards is not None and shard not in shards:
        given = "--shard: missing" if shard is None else f"--shard {shard}: no such shard"
        raise UserError(f"{given}; stage {name} has the shards {', '.join(map(str, shards))}, choose one of them")
