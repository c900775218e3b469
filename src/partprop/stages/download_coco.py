"""Put COCO, or its synthetic stand-in, into data/coco."""

from __future__ import annotations

from typing import TYPE_CHECKING

from partprop import paths
from partprop.data.checks import check_coco
from partprop.data.disk import disk_errors
from partprop.data.download import download
from partprop.data.layouts import COCO
from partprop.data.manifest import manifest
from partprop.data.synthetic import write_coco
from partprop.files import replacing_folder

if TYPE_CHECKING:
    from partprop.experiment import Run
    from partprop.params import Params


def run(params: Params, log: Run) -> None:
    """Write data/coco in COCO layout; log its images, instances, bytes and manifest hash."""
    source = params.data.coco.source
    if source == "synthetic":
        with disk_errors(paths.COCO.parent), replacing_folder(paths.COCO) as folder:
            write_coco(folder, params.data.synthetic)
            counts = check_coco(folder)
    else:
        counts = download(source, COCO, paths.COCO, check_coco)
    found = manifest(paths.COCO)
    log.metrics({"images": counts.images, "instances": counts.instances, "bytes": found.bytes})
    log.tags({"manifest": found.sha256})
