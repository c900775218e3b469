"""Put DAVIS, or its synthetic stand-in, into data/davis."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from partprop import paths
from partprop.data.checks import check_davis
from partprop.data.disk import disk_errors
from partprop.data.download import download
from partprop.data.layouts import DAVIS
from partprop.data.manifest import manifest
from partprop.data.synthetic import write_davis
from partprop.files import replacing_folder

if TYPE_CHECKING:
    from partprop.experiment import Run
    from partprop.params import Params


def run(params: Params, log: Run) -> None:
    """Write data/davis in DAVIS layout; log its sequences, frames and manifest hash."""
    source, year = params.data.davis.source, params.data.davis.year
    check = partial(check_davis, year=year)
    if source == "synthetic":
        with disk_errors(paths.DAVIS.parent), replacing_folder(paths.DAVIS) as folder:
            write_davis(folder, params.data.synthetic, year)
            counts = check(folder)
    else:
        counts = download(source, DAVIS[year], paths.DAVIS, check)
    log.metrics({"sequences": counts.sequences, "frames": counts.frames})
    log.tags({"manifest": manifest(paths.DAVIS).sha256})
