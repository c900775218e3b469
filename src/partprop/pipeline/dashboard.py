"""`make dashboard`: MLflow's web interface on 127.0.0.1, with a link to the runs of this experiment."""

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
from partprop.pipeline.runs import Runs, link_restored_outputs, tracking_root, tracking_uri

HOST = "127.0.0.1"
PORT = 5000
START_SECONDS = 120.0


def serve(port: int) -> int:
    """Serve the runs until interrupted and return the server's exit code. Prints the link when the page is up.

    Raises:
        UserError: the server does not start.
    """
    link_restored_outputs()
    root = tracking_root()
    experiment = Runs(root).experiment
    server = subprocess.Popen(_command(root, port), env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"})
    signal.signal(signal.SIGTERM, lambda *_: server.terminate())
    try:
        wait_until_up(server, port)
        # Without workflowType, MLflow opens its page for GenAI experiments, which is empty.
        link = f"http://{HOST}:{port}/#/experiments/{experiment}/runs?workflowType=machine_learning"
        print(f"\nMLflow: {link}\nStop it with Ctrl-C.", flush=True)
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        server.terminate()
        server.wait()


def wait_until_up(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Wait until the server answers.

    Raises:
        UserError: it exited, or did not answer within START_SECONDS.
    """
    for _ in range(int(START_SECONDS / 0.5)):
        if server.poll() is not None:
            raise UserError(f"mlflow server: exited with code {server.returncode}; see its messages above")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise UserError(f"mlflow server: no answer within {START_SECONDS:.0f} s; see its messages above")


def free_port(wanted: int) -> int:
    """`wanted` if that port is free, else any free port.

    Raises:
        UserError: there is none.
    """
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"{HOST}: no free port for the dashboard; stop another server")


def _command(root: Path, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *("--host", HOST, "--port", str(port), "--backend-store-uri", tracking_uri(root)),
        *("--default-artifact-root", (root / "mlruns").as_uri()),
    ]


def main() -> None:
    """Serve on port 5000, or on any free port if it is taken."""
    try:
        sys.exit(serve(free_port(PORT)))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
