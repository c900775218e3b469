"""Download DAVIS, or render a synthetic data set instead."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from partprop.base import paths
from partprop.base.disk import os_errors_as_user_errors
from partprop.base.files import atomic_folder
from partprop.download.checks import check_davis
from partprop.download.download import download
from partprop.download.layouts import DAVIS
from partprop.download.manifest import manifest
from partprop.synthetic import RenderSettings, write_davis

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run


def run(params: Params, log: Run) -> None:
    """Write data/davis in DAVIS layout; log the numbers of sequences and frames, and the manifest hash."""
    source, year = params.data.davis.source, params.data.davis.year
    check = partial(check_davis, year=year)
    if source == "synthetic":
        with os_errors_as_user_errors(paths.DAVIS.parent), atomic_folder(paths.DAVIS) as folder:
            write_davis(folder, RenderSettings(**params.data.synthetic.model_dump()), year)
            counts = check(folder)
    else:
        counts = download(source, DAVIS[year], paths.DAVIS, check)
    log.metrics({"sequences": counts.sequences, "frames": counts.frames})
    log.tags({"manifest": manifest(paths.DAVIS).sha256})
