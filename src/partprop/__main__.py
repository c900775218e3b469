"""`python src/partprop`: the command line with the code of this folder, even if another version is installed."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python put this folder or the working directory first; `partprop` is in the folder above this one.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    try:
        from partprop.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{sys.executable}: {error.name} is not installed; activate the environment or run `make reproduce`")

    main()
