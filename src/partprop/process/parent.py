"""A stage and the DVC process that started it: the stage exits with DVC, and repeats its error after DVC's own."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import psutil

SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}
GRACE = 20.0  # seconds for a stage to delete its temporary files and close its run


def end_with_parent(poll_seconds: float = 1.0) -> None:
    """Exit cleanly on SIGTERM, and when the DVC process that started this stage exits."""
    signal.signal(signal.SIGTERM, _terminate)
    parent = _starter() if "DVC_STAGE" in os.environ else None
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, poll_seconds), daemon=True).start()


def repeat_after_parent(line: str) -> None:
    """Print a line once more after DVC has exited, since DVC prints its own error below that of the failed stage.

    Does nothing under Snakemake, which repeats the line itself (`partprop.pipeline.schedule`).
    """
    parent = _starter() if "DVC_STAGE" in os.environ else None
    if parent is None or any(_is_snakemake(above) for above in parent.parents()):
        return
    subprocess.Popen([sys.executable, "-c", _REPEAT, str(parent.pid), line], start_new_session=True)


# A zombie has exited, too: DVC's parent may read our output to the end before it collects DVC's exit status.
_REPEAT = """
import sys, time, psutil
try:
    parent = psutil.Process(int(sys.argv[1]))
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.02)
except psutil.NoSuchProcess:
    pass
print(sys.argv[2], file=sys.stderr)
"""


def _is_snakemake(process: psutil.Process) -> bool:
    command = process.as_dict(["cmdline"])["cmdline"] or []  # None for some processes of other users
    return "snakemake" in {os.path.basename(part) for part in command}


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _starter() -> psutil.Process | None:
    """The nearest ancestor that is not a shell: some shells stay between DVC and the stage."""
    return next((process for process in psutil.Process().parents() if process.name() not in SHELLS), None)


def _watch(parent: psutil.Process, poll_seconds: float) -> None:
    while _runs(parent):
        time.sleep(poll_seconds)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(128 + signal.SIGTERM)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
