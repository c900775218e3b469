"""Bring still images with masks side by side, or render them, or leave them out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partprop.base import paths
from partprop.base.disk import os_errors_as_user_errors
from partprop.base.files import atomic_folder
from partprop.download.checks import StillCounts, check_stills
from partprop.download.download import download
from partprop.download.layouts import STATIC
from partprop.download.manifest import manifest
from partprop.synthetic import RenderSettings, write_stills

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run


def run(params: Params, log: Run) -> None:
    """Write data/static, empty for the source `none`; log the numbers of images and objects, and the manifest hash.

    Pairs of image and mask that cannot be used are left out, and each is reported on one line.
    """
    counts = _bring(params)
    for line in counts.left_out:
        print(f"left out: {line}", flush=True)
    log.metrics({"images": counts.images, "objects": counts.objects, "left_out": len(counts.left_out)})
    log.tags({"manifest": manifest(paths.STATIC).sha256})


def _bring(params: Params) -> StillCounts:
    source = params.data.static.source
    if source not in ("none", "synthetic"):
        return download(source, STATIC, paths.STATIC, check_stills)
    with os_errors_as_user_errors(paths.STATIC.parent), atomic_folder(paths.STATIC) as folder:
        if source == "none":
            return StillCounts(0, 0, ())
        write_stills(folder, RenderSettings(**params.data.synthetic.model_dump()))
        return check_stills(folder)
