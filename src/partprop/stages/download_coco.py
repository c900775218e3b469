"""Download COCO, or render a synthetic data set instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partprop.base import paths
from partprop.base.disk import os_errors_as_user_errors
from partprop.base.files import atomic_folder
from partprop.download.checks import check_coco
from partprop.download.coco_subset import download_subset
from partprop.download.download import download
from partprop.download.layouts import COCO
from partprop.download.manifest import manifest
from partprop.synthetic import RenderSettings, write_coco

if TYPE_CHECKING:
    from partprop.params import Params
    from partprop.pipeline.runs import Run


def run(params: Params, log: Run) -> None:
    """Write data/coco in COCO layout; log the numbers of images, instances and bytes, and the manifest hash."""
    source = params.data.coco.source
    if source == "synthetic":
        with os_errors_as_user_errors(paths.COCO.parent), atomic_folder(paths.COCO) as folder:
            write_coco(folder, RenderSettings(**params.data.synthetic.model_dump()))
            counts = check_coco(folder)
    elif source == "official" and params.data.coco.images:
        counts = download_subset(params.data.coco.images, paths.COCO, check_coco)
    else:
        counts = download(source, COCO, paths.COCO, check_coco)
    found = manifest(paths.COCO)
    log.metrics({"images": counts.images, "instances": counts.instances, "bytes": found.bytes})
    log.tags({"manifest": found.sha256})
