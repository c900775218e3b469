"""A stage ends when DVC, which started it, goes: DVC itself does not end its stages when it is terminated."""

import os
import signal
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
