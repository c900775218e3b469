"""`partprop check`: what would fail, found before it fails."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from partprop.base.errors import UserError
from partprop.base.paths import PARAMS, in_main_checkout
from partprop.download.download import local_source
from partprop.download.layouts import COCO, DAVIS, Layout
from partprop.download.trees import archive_tree, folder_tree
from partprop.params import load_params
from partprop.pipeline.sources import note_sources
from partprop.pipeline.splits import require_sequences

WORK_SPACE = 1_000_000_000  # bytes for models, results and logs
GIGABYTE = 1e9


def check_everything() -> Iterator[str]:
    """Yield a line for each thing that is in order.

    Raises:
        UserError: the first thing that is not.
    """
    params = load_params(PARAMS)
    require_sequences(params)
    yield f"{PARAMS}: preset {params.preset}, {len(params.infer.shards)} shards"
    needed = WORK_SPACE
    for key, source, layout in (
        ("data.coco.source", params.data.coco.source, COCO),
        ("data.davis.source", params.data.davis.source, DAVIS[params.data.davis.year]),
    ):
        size = source_size(source, layout)
        needed += 2 * size  # once for the stages, once in DVC's cache
        yield f"{key}: {source}" + (f", {size / GIGABYTE:.2f} GB" if size else "")
    weights = params.backbone.weights
    if weights != "imagenet" and not in_main_checkout(weights).is_file():
        raise UserError(f"backbone.weights: {weights}: no such file; give `imagenet` or an existing file")
    yield f"backbone.weights: {weights}"
    note_sources(params)
    yield f"environment: {require_environment()} packages"
    yield f"disk: {require_disk(Path.cwd(), needed) / GIGABYTE:.1f} GB free"


def source_size(source: str, layout: Layout) -> int:
    """The bytes that a source takes, 0 where only its host knows.

    Raises:
        UserError: a local source is not there, or does not hold the data set.
    """
    if source == "synthetic" or source.startswith(("http://", "https://")):
        return 0
    if source == "official":
        return sum(file.size or 0 for file in layout.official)
    path = local_source(source)
    with archive_tree(path) if path.is_file() else nullcontext(folder_tree(path, layout)) as tree:
        tree.root(layout)
        return sum(member.size for member in tree.members)


def require_environment() -> int:
    """The number of packages that this one needs, each installed in a version that it accepts.

    Raises:
        UserError: one is missing or of another version.
    """
    needed = [Requirement(line) for line in metadata.requires("partprop") or []]
    needed = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    for one in needed:
        try:
            version = metadata.version(one.name)
        except metadata.PackageNotFoundError:
            raise UserError(f"{one.name}: not installed; run .venv/bin/pip install -e .[dev]") from None
        if not one.specifier.contains(version, prereleases=True):
            raise UserError(f"{one.name} {version}: {one} is needed; run .venv/bin/pip install -e .[dev]")
    return len(needed)


def require_disk(folder: Path, needed: int) -> int:
    """The free bytes of a folder's disk.

    Raises:
        UserError: they are fewer than needed.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder}: {needed / GIGABYTE:.1f} GB are needed, {free / GIGABYTE:.1f} GB are free; make room"
        )
    return free
