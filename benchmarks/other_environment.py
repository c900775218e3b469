"""Virtual environments for packages that conflict with the project's own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python_with(package: str, folder: str) -> Path:
    """The interpreter of the environment in a folder of the checkout; the first call creates it with the package."""
    environment = ROOT / folder
    python, installed = environment / "bin" / "python", environment / "installed"
    if not installed.exists():  # repeat an interrupted installation
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", package], check=True)
        installed.touch()
    return python
