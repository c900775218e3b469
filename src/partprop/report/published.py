"""Published results on the DAVIS 2016 validation set, and whether ours may stand beside them."""

from collections.abc import Collection
from dataclasses import dataclass

DAVIS_2016_VAL = frozenset(
    {
        "blackswan",
        "bmx-trees",
        "breakdance",
        "camel",
        "car-roundabout",
        "car-shadow",
        "cows",
        "dance-twirl",
        "dog",
        "drift-chicane",
        "drift-straight",
        "goat",
        "horsejump-high",
        "kite-surf",
        "libby",
        "motocross-jump",
        "paragliding-launch",
        "parkour",
        "scooter-black",
        "soapbox",
    }
)


@dataclass(frozen=True)
class Published:
    """A published result: means over the 20 sequences of DAVIS 2016 val, in [0, 1]."""

    method: str
    j_and_f: float
    j: float
    f: float
    citation: str
    url: str


# Both results stand beside each other in table 2 of Oh et al., "Video Object Segmentation using Space-Time Memory
# Networks", ICCV 2019.
PUBLISHED = (
    Published(
        "RGMP",
        0.818,
        0.815,
        0.820,
        "Oh, Lee, Sunkavalli and Kim: Fast Video Object Segmentation by Reference-Guided Mask Propagation. CVPR 2018",
        "https://openaccess.thecvf.com/content_cvpr_2018/papers/Oh_Fast_Video_Object_CVPR_2018_paper.pdf",
    ),
    Published(
        "FAVOS",
        0.810,
        0.824,
        0.795,
        "Cheng, Tsai, Hung, Wang and Yang: Fast and Accurate Online Video Object Segmentation via Tracking Parts. "
        "CVPR 2018",
        "https://openaccess.thecvf.com/content_cvpr_2018/papers/Cheng_Fast_and_Accurate_CVPR_2018_paper.pdf",
    ),
)


@dataclass(frozen=True)
class Comparison:
    """Whether our numbers may be compared with the published ones, and the note that says so."""

    comparable: bool
    note: str


def compare_with_published(source: str, year: int, sequences: Collection[str]) -> Comparison:
    """Judge a run on videos of these names in the DAVIS-style dataset `source`, read as DAVIS `year`."""
    if source == "synthetic":
        return Comparison(
            False,
            "Not comparable. This run is measured on rendered, synthetic videos; the published numbers are for the "
            "20 real videos of DAVIS 2016 val. They are shown only to say what the methods reach there.",
        )
    if year != 2016:
        return Comparison(
            False,
            f"Not comparable. This run is measured on DAVIS {year} with several objects per video; the published "
            "numbers are for DAVIS 2016 val, with one object per video.",
        )
    if set(sequences) != DAVIS_2016_VAL:
        return Comparison(
            False,
            f"Not comparable. This run is measured on {len(sequences)} other sequences than the "
            f"{len(DAVIS_2016_VAL)} of DAVIS 2016 val, which the published numbers are means over.",
        )
    return Comparison(
        True,
        "Comparable: the task, the validation sequences and the measures (J and F of the official "
        "protocol, first and last frame left out). Not the same: the training data, the backbone, the resolution, the "
        "training budget and, for a dataset that is not the official download, the compression of the frames.",
    )


def average_precision_caveat(source: str) -> str:
    """What COCO's AP means for a run whose COCO images come from `source`."""
    if source == "synthetic":
        return "AP is measured on rendered, synthetic images: it is not comparable with published AP on COCO."
    if source == "official":
        return (
            "AP is measured on COCO val2017 with this preset's image size and step budget, far below the usual "
            "schedules: read it as a check of the feature pyramid, not as a detector's result."
        )
    return (
        "AP is measured on the images of the given folder or archive. On a subset of COCO, with its own split and few "
        "images per class, it is not comparable with published AP; class-agnostic AP and AR say more there."
    )
