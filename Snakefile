# Schedules the stages of dvc.yaml. DVC decides which are stale, runs them and stores their outputs; Snakemake runs
# independent stages in parallel, here or on a cluster. The files that Snakemake tracks are empty stamps, one per stage,
# not the outputs, which belong to DVC.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.10")
sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from partprop.pipeline import schedule
from partprop.base.errors import UserError

try:
    STAGES = schedule.prepare(is_main_process=workflow.is_main_process)
except UserError as error:
    sys.exit(f"{error}")


rule all:
    input:
        [stage.stamp for stage in STAGES],


for stage in STAGES:

    rule:
        name:
            stage.name
        input:
            stage.inputs,
        output:
            touch(stage.stamp),
        threads: stage.threads
        resources:
            **stage.resources,
        shell:
            "dvc --wait-for-lock repro --single-item {rule}"


onsuccess:
    schedule.link_restored_outputs()


onerror:
    schedule.repeat_last_failure()
