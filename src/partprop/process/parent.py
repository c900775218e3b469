"""A stage and DVC, which started it: the one ends with the other, and has the last word when the input is not right."""

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

import psutil

SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh"}
GRACE = 20.0  # seconds that a stage has to drop its temporary files and close its run


def end_with_parent(poll_seconds: float = 1.0) -> None:
    """From now on SIGTERM ends the process in good order, and the end of DVC does the same."""
    signal.signal(signal.SIGTERM, _terminate)
    parent = _starter() if "DVC_STAGE" in os.environ else None
    if parent is not None:
        threading.Thread(target=_watch, args=(parent, poll_seconds), daemon=True).start()


def repeat_after_parent(line: str) -> None:
    """Print a line once more when DVC has ended: it puts a line of its own below that of a stage that failed.

    Not under Snakemake, which repeats it itself (`partprop.pipeline.schedule`).
    """
    parent = _starter() if "DVC_STAGE" in os.environ else None
    if parent is None or any(_is_snakemake(above) for above in parent.parents()):
        return
    subprocess.Popen([sys.executable, "-c", _REPEAT, str(parent.pid), line], start_new_session=True)


# Whoever started DVC may read our output to its end before it takes notice of DVC's: a zombie has ended, too.
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
    """The nearest process above that is no shell: some shells stay between DVC and the stage."""
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
