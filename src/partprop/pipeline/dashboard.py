"""`make dashboard`: MLflow in the browser, on loopback, opened on this experiment's runs."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from partprop.base.errors import UserError
from partprop.pipeline.runs import Runs, reconcile, tracking_root, tracking_uri

HOST = "127.0.0.1"
PORT = 5000
START_SECONDS = 120.0


def serve(port: int) -> int:
    """Serve the runs until interrupted; print the link once the page is there. Returns the server's exit code.

    Raises:
        UserError: the server does not start.
    """
    reconcile()
    root = tracking_root()
    experiment = Runs(root).experiment
    server = subprocess.Popen(_command(root, port), env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        wait_until_up(server, port)
        # Without the type, MLflow opens an empty page for another kind of experiment.
        link = f"http://{HOST}:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning"
        print(f"\nMLflow is at {link}\nCtrl-C ends it.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def wait_until_up(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Return when the server answers.

    Raises:
        UserError: it ended, or takes too long.
    """
    for _ in range(int(START_SECONDS / 0.5)):
        if server.poll() is not None:
            raise UserError(f"mlflow server ended with exit code {server.returncode}; its messages are above")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise UserError(f"mlflow server: no answer within {START_SECONDS:.0f} s; its messages are above")


def free_port(wanted: int) -> int:
    """`wanted`, or any free port where it is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"{HOST}: no free port for the dashboard")


def _command(root: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", HOST, "--port", str(port), "--backend-store-uri", tracking_uri(root)),
        *("--default-artifact-root", (root / "mlruns").as_uri()),
    ]


def main() -> None:
    """Serve on the usual port, or on a free one."""
    try:
        sys.exit(serve(free_port(PORT)))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
