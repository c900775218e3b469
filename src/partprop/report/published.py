"""Published results on the DAVIS 2016 validation set, and whether a run is comparable with them."""

from collections.abc import Collection
from dataclasses import dataclass

from partprop.evaluation.davis_val import DAVIS_VAL, is_davis_val


@dataclass(frozen=True)
class Published:
    """A published result: means over the 20 sequences of DAVIS 2016 val, in [0, 1], and where they were published."""

    method: str
    j_and_f: float
    j: float
    f: float
    citation: str
    url: str


# Both results as listed in table 2 of Oh et al., "Video Object Segmentation using Space-Time Memory Networks",
# ICCV 2019.
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
    """Whether our scores are comparable with the published ones, and a note that says so."""

    comparable: bool
    note: str


def compare_with_published(source: str, year: int, sequences: Collection[str]) -> Comparison:
    """Judge whether a run is comparable with the published results.

    Args:
        source: data.davis.source of the run.
        year: data.davis.year of the run.
        sequences: names of the sequences that it was measured on.
    """
    if source == "synthetic":
        return Comparison(
            False,
            "Not comparable. This run was measured on rendered, synthetic videos; the published numbers are for the "
            "20 real videos of DAVIS 2016 val and are listed for reference only.",
        )
    if year != 2016:
        return Comparison(
            False,
            f"Not comparable. This run was measured on DAVIS {year} with several objects per video; the published "
            "numbers are for DAVIS 2016 val, with one object per video.",
        )
    if not is_davis_val(sequences, 2016):
        return Comparison(
            False,
            f"Not comparable. This run was measured on {len(sequences)} sequences that are not the "
            f"{len(DAVIS_VAL[2016])} of DAVIS 2016 val, on which the published numbers were measured.",
        )
    return Comparison(
        True,
        "Comparable: the task, the validation sequences and the measures (J and F of the official protocol, without "
        "the first and the last frame). Different: the training data, the backbone, the resolution, the training "
        "budget and, unless the dataset is the official download, the compression of the frames.",
    )


def average_precision_caveat(source: str) -> str:
    """Explain how to read the AP of a run whose data.coco.source is `source`."""
    if source == "synthetic":
        return "AP is measured on rendered, synthetic images and is not comparable with published AP on COCO."
    if source == "official":
        return (
            "AP is measured on COCO val2017, or on the part of it that data.coco.images downloads, with the image size "
            "and the number of steps of this preset, far below the usual schedules. It checks the feature pyramid and "
            "is not a detector benchmark."
        )
    return (
        "AP is measured on the images of the given folder or archive. On a subset of COCO with its own split and few "
        "images per class, it is not comparable with published AP; class-agnostic AP and AR are more informative there."
    )
