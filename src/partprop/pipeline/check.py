"""`partprop check`: find errors before the pipeline runs into them."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS, in_main_checkout
from partprop.download.coco_subset import subset_size
from partprop.download.download import local_source
from partprop.download.layouts import COCO, DAVIS, STATIC, Layout
from partprop.download.trees import archive_tree, folder_tree
from partprop.params import load_params
from partprop.pipeline.sources import update_sources
from partprop.pipeline.splits import require_sequences

WORK_SPACE = 1_000_000_000  # bytes, for models, results and logs
GIGABYTE = 1e9


def check_everything() -> Iterator[str]:
    """Yield a line for each check that passes: parameters, sources, environment, disk.

    Raises:
        UserError: at the first check that fails.
    """
    params = load_params(PARAMS)
    require_sequences(params)
    yield f"{PARAMS}: preset {params.preset}, {len(params.infer.shards)} shards"
    needed = WORK_SPACE
    for key, source, layout in (
        ("data.coco.source", params.data.coco.source, COCO),
        ("data.davis.source", params.data.davis.source, DAVIS[params.data.davis.year]),
        ("data.static.source", params.data.static.source, STATIC),
    ):
        size = source_size(source, layout)
        if layout is COCO and source == "official" and params.data.coco.images:
            size = subset_size(params.data.coco.images)
        needed += 2 * size  # data/ and DVC's cache
        yield f"{key}: {source}" + (f", {size / GIGABYTE:.2f} GB" if size else "")
    weights = params.backbone.weights
    if weights != "imagenet" and not in_main_checkout(weights).is_file():
        raise UserError(f"backbone.weights: {weights}: no such file; write `imagenet` or the path of a file")
    yield f"backbone.weights: {weights}"
    update_sources(params)
    yield f"environment: {require_environment()} packages"
    yield f"disk: {require_disk(Path.cwd(), needed) / GIGABYTE:.1f} GB free"


def source_size(source: str, layout: Layout) -> int:
    """The size of a source in bytes; 0 if it is synthetic, none, or a mirror, whose size is unknown.

    Raises:
        UserError: a local source is missing, or does not contain the data set.
    """
    if source in ("synthetic", "none") or source.startswith(("http://", "https://")):
        return 0
    if source == "official":
        return sum(file.size or 0 for file in layout.official)
    path = local_source(source)
    with archive_tree(path) if path.is_file() else nullcontext(folder_tree(path, layout)) as tree:
        tree.root(layout)
        return sum(member.size for member in tree.members)


def require_environment() -> int:
    """Check that all required packages are installed in accepted versions, and return their number.

    Raises:
        UserError: a package is missing or has another version.
    """
    needed = [Requirement(line) for line in metadata.requires("partprop") or []]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            raise UserError(f"{one.name}: not installed; run .venv/bin/pip install -e .[dev]") from None
        if not one.specifier.contains(version, prereleases=True):
            raise UserError(f"{one.name} {version}: the project needs {one}; run .venv/bin/pip install -e .[dev]")
    return len(needed)


def require_disk(folder: Path, needed: int) -> int:
    """Check the free space on the disk that holds `folder`, and return it in bytes.

    Raises:
        UserError: it is less than `needed` bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {needed / GIGABYTE:.1f} GB are needed, {free / GIGABYTE:.1f} GB are free; make room"
        )
    return free
