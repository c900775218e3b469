"""sources.yaml: a hash of each local source of data and backbone weights, which DVC compares like a parameter.

DVC cannot depend on a source itself, which may be a word, a path or a URL. The file is versioned like dvc.lock.
Snakemake, `partprop check` and every stage whose `params` list sources.yaml bring it up to date.
"""

import yaml

from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.base.paths import DATA, PARAMS, SOURCES, in_main_checkout
from partprop.base.yaml_files import read_yaml
from partprop.download.download import source_manifest, stamp
from partprop.download.layouts import COCO, DAVIS, STATIC, Layout
from partprop.params import Params

NOT_LOCAL = "not local"
_HEADER = "# Hashes of the local sources. Written by the pipeline, versioned like dvc.lock.\n"


def update_sources(params: Params) -> None:
    """Bring sources.yaml up to date. The hash of a missing source is kept: its data may be in DVC's cache.

    Raises:
        UserError: a source is inside data/, where DVC would delete it.
    """
    recorded = read_yaml(SOURCES) if SOURCES.exists() else {}
    data = params.data
    sources = {
        "coco": (data.coco.source, COCO),
        "davis": (data.davis.source, DAVIS[data.davis.year]),
        "static": (data.static.source, STATIC),
    }
    for name, (source, _) in sources.items():
        if in_main_checkout(source).resolve().is_relative_to(in_main_checkout(str(DATA)).resolve()):
            raise UserError(
                f"{PARAMS}: data.{name}.source: {source} is inside {DATA}/, where the pipeline replaces everything; "
                "move the data elsewhere"
            )
    found = {name: _manifest(*each, recorded.get(name, NOT_LOCAL)) for name, each in sources.items()}
    found["backbone"] = _stamp(params.backbone.weights, recorded.get("backbone", NOT_LOCAL))
    if found != recorded:
        with atomic_write(SOURCES) as temporary:
            temporary.write_text(_HEADER + yaml.safe_dump(found), encoding="utf-8")


def _stamp(weights: str, recorded: str) -> str:
    if weights == "imagenet":
        return NOT_LOCAL
    path = in_main_checkout(weights)
    return stamp([(path.name, path)]) if path.is_file() else recorded


def _manifest(source: str, layout: Layout, recorded: str) -> str:
    try:
        return source_manifest(source, layout) or NOT_LOCAL
    except UserError:
        return recorded
