"""The data sets as published: official archives, and the files of them that the pipeline uses."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from partprop.base.errors import UserError


@dataclass(frozen=True)
class RemoteFile:
    """An official archive; `size` in bytes and `sha256` are None if no reliable value is published."""

    url: str
    size: int | None
    sha256: str | None

    @property
    def name(self) -> str:
        """The file name, which mirrors share."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Layout:
    """The layout of a data set.

    Attributes:
        name: name in messages.
        marker: the folder that identifies the root of the data set.
        patterns: the files to use, relative to the root; * matches one path component.
        official: the archives of the data set.
    """

    name: str
    marker: str
    patterns: tuple[str, ...]
    official: tuple[RemoteFile, ...]

    def takes(self, path: PurePosixPath) -> bool:
        """Whether the pipeline uses the file at a path relative to the root."""
        return any(path.match(pattern) and pattern.count("/") == len(path.parts) - 1 for pattern in self.patterns)

    def root(self, files: Iterable[PurePosixPath], where: str) -> PurePosixPath:
        """Find the data set's root: the top of a source, or up to two folders below.

        Args:
            files: paths relative to the source.
            where: name of the source in errors.

        Raises:
            UserError: there is no root, or more than one.
        """
        roots = {
            PurePosixPath(*file.parts[:depth])
            for file in files
            for depth in range(min(3, len(file.parts) - 1))
            if file.parts[depth] == self.marker
        }
        if not roots:
            raise UserError(f"{where}: holds no {self.name} (no folder {self.marker}); correct the source")
        if len(roots) > 1:
            names = ", ".join(sorted(map(str, roots)))
            raise UserError(f"{where}: holds several data sets ({names}); use one of them as the source")
        return roots.pop()


class SideBySide(Layout):
    """Still images beside their masks, in folders of any depth; the root is the folder of index.csv, else the top."""

    def takes(self, path: PurePosixPath) -> bool:
        """Whether the file is an image or a mask inside a set's folder, or the index."""
        inside = len(path.parts) > 1 and path.suffix.lower() in (".jpg", ".jpeg", ".png")
        return inside or path == PurePosixPath(self.marker)

    def root(self, files: Iterable[PurePosixPath], where: str) -> PurePosixPath:
        """See `Layout.root`."""
        files = list(files)
        if not any(file.suffix.lower() in (".jpg", ".jpeg") and len(file.parts) > 1 for file in files):
            raise UserError(f"{where}: holds no {self.name} (no <set>/<name>.jpg); correct the source")
        roots = {file.parent for file in files if file.name == self.marker and len(file.parts) <= 3}
        if len(roots) > 1:
            raise UserError(f"{where}: holds several {self.marker}; keep the one at the top of the sets")
        return roots.pop() if roots else PurePosixPath()


# Sizes and SHA-256 of COCO and DAVIS 2017 are those of the official files in TensorFlow Datasets.
COCO_HOST = "http://images.cocodataset.org"
COCO = Layout(
    name="COCO 2017",
    marker="annotations",
    patterns=(
        "annotations/instances_train2017.json",
        "annotations/instances_val2017.json",
        "train2017/*",
        "val2017/*",
    ),
    official=(
        RemoteFile(
            f"{COCO_HOST}/annotations/annotations_trainval2017.zip",
            252_907_541,
            "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
        ),
        RemoteFile(
            f"{COCO_HOST}/zips/val2017.zip",
            815_585_330,
            "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        ),
        RemoteFile(
            f"{COCO_HOST}/zips/train2017.zip",
            19_336_861_798,
            "69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        ),
    ),
)

_DAVIS_PATTERNS = (
    "JPEGImages/480p/*/*",
    "JPEGImages/*/*",
    "Annotations/480p/*/*",
    "Annotations/*/*",
    "ImageSets/*/*.txt",
)
# The host has replaced this file more than once, and the publishers' download scripts name three different MD5 sums, so
# none is used here. Only the announced length and the checksums inside the archive are verified.
_DAVIS_2016_ARCHIVE = RemoteFile("https://graphics.ethz.ch/Downloads/Data/Davis/DAVIS-data.zip", None, None)
_DAVIS_2017_ARCHIVE = RemoteFile(
    "https://data.vision.ee.ethz.ch/csergi/share/davis/DAVIS-2017-trainval-480p.zip",
    832_766_765,
    "e3d0b5b77c3d031b000a19e0e25e3e2cac65d183755601bc2cf066df1a2aa492",
)
DAVIS = {
    2016: Layout("DAVIS 2016", "JPEGImages", _DAVIS_PATTERNS, (_DAVIS_2016_ARCHIVE,)),
    2017: Layout("DAVIS 2017", "JPEGImages", _DAVIS_PATTERNS, (_DAVIS_2017_ARCHIVE,)),
}

# The sets that it joins (FSS-1000, DUTS, ECSSD and the like) have owners of their own and no common host.
STATIC = SideBySide(
    "still images with masks",
    "index.csv",
    ("index.csv", "**/*.[jJ][pP][gG]", "**/*.[jJ][pP][eE][gG]", "**/*.[pP][nN][gG]"),
    (RemoteFile("static.zip", None, None),),
)
