"""Draw the plots listed in dvc.yaml on one page that opens offline: dvc_plots/index.html.

    .venv/bin/python scripts/plots.py              # the working tree
    .venv/bin/python scripts/plots.py HEAD~1       # a commit, branch or experiment compared with the working tree

The page of `dvc plots` loads its JavaScript libraries from the network; this page embeds them.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import vl_convert
import yaml

VEGA_LITE = "5.21"  # DVC's plots are written for version 5
PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>partprop: curves</title>
<link rel="icon" href="data:,">
<script>{bundle}</script>
<style>
body {{ font-family: system-ui, sans-serif; margin: 24px; display: flex; flex-wrap: wrap; gap: 24px; }}
body > div {{ max-width: 100%; overflow-x: auto; }}
</style>
</head>
<body>
{{plot_divs}}
</body>
</html>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "revisions", nargs="*", help="commits, branches or experiments to compare with the working tree"
    )
    revisions = parser.parse_args().revisions
    with tempfile.TemporaryDirectory() as temporary:
        template = Path(temporary) / "page.html"
        template.write_text(PAGE.format(bundle=vl_convert.javascript_bundle(vl_version=VEGA_LITE)), encoding="utf-8")
        common = ["--html-template", str(template), "--out", "dvc_plots"]
        if revisions:
            command = ["diff", *common, *revisions, "workspace", "--targets", *names()]
        else:
            command = ["show", *common, *names()]
        done = subprocess.run([str(Path(sys.executable).parent / "dvc"), "plots", *command], check=False)
    sys.exit(done.returncode)


def names() -> list[str]:
    """Names of the plots in dvc.yaml."""
    pipeline = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))
    return [name for plot in pipeline["plots"] for name in plot]


if __name__ == "__main__":
    main()
