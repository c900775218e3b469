"""`python src/partprop`: the command line with the code of this folder, whatever else is installed."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put this folder, or the working directory, first; neither is where `partprop` is found.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    try:
        from partprop.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{sys.executable}: {error.name} is not installed there; activate the environment or make reproduce")

    main()
