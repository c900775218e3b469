"""Environments beside the project's own, for packages that cannot be installed in it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python_with(package: str, folder: str) -> Path:
    """The interpreter of the environment in a folder of the checkout, which is made with the package on first use."""
    environment = ROOT / folder
    python, installed = environment / "bin" / "python", environment / "installed"
    if not installed.exists():  # an interrupted installation is begun again
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", package], check=True)
        installed.touch()
    return python
