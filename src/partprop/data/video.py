"""Videos with annotated masks in the layout of DAVIS: frames, label maps and splits.

    JPEGImages/480p/<sequence>/00000.jpg    or  JPEGImages/<sequence>/00000.jpg
    Annotations/480p/<sequence>/00000.png   or  Annotations/<sequence>/00000.png
    ImageSets/<year>/<split>.txt

Other data sets in this style can be read, too, such as YouTube-VOS with its sparsely annotated frames.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from partprop.base.errors import UserError
from partprop.data.images import image_size, read_rgb
from partprop.data.labels import VOID, read_labels

FRAME_SUFFIXES = (".jpg", ".jpeg", ".png")
MIN_ANNOTATED_FRAMES = 3  # per sequence, since metrics exclude the first and the last


@dataclass(frozen=True)
class Video:
    """A video ("sequence" in DAVIS), read from disk frame by frame.

    Attributes:
        name: the folder's name.
        frame_names: file stems of the frames, in order; their numbers may have gaps.
        frames: the image files.
        masks: the mask file of each frame; None for a frame without annotation.
        single_object: read all objects as one, with id 1 (DAVIS 2016).
    """

    name: str
    frame_names: tuple[str, ...]
    frames: tuple[Path, ...]
    masks: tuple[Path | None, ...]
    single_object: bool

    def __len__(self) -> int:
        return len(self.frames)

    def select(self, indices: Iterable[int]) -> "Video":
        """The frames at the given positions, as a video of the same name."""
        chosen = list(indices)
        return replace(
            self,
            frame_names=tuple(self.frame_names[index] for index in chosen),
            frames=tuple(self.frames[index] for index in chosen),
            masks=tuple(self.masks[index] for index in chosen),
        )

    def image(self, index: int) -> np.ndarray:
        """Read the frame at a position: uint8 (H, W, 3), RGB.

        Raises:
            UserError: the file is missing or corrupt.
        """
        return read_rgb(self.frames[index])

    def labels(self, index: int) -> np.ndarray | None:
        """Read the label map at a position: uint8 (H, W), 0 background, object ids, 255 void; None if not annotated.

        Raises:
            UserError: the file is missing or corrupt, or its size differs from the frame's.
        """
        mask = self.masks[index]
        if mask is None:
            return None
        labels = read_labels(mask)
        width, height = image_size(self.frames[index])
        if labels.shape != (height, width):
            raise UserError(
                f"{mask}: mask of {labels.shape[1]}x{labels.shape[0]} pixels on a frame of {width}x{height} "
                f"({self.frames[index]}); resize one of them"
            )
        if self.single_object and labels.max() > 1:
            labels[(labels != 0) & (labels != VOID)] = 1
        return labels


def natural_sort_key(name: str) -> list[tuple[int, str]]:
    """Sort key that orders names by the numbers in them, with or without leading zeros: img_2 before img_10."""
    pieces = re.split(r"(\d+)", name)
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in pieces] + [(-1, name)]


def open_davis(root: Path, split: str | None, year: int) -> list[Video]:
    """Open the sequences of a split, sorted by name.

    Args:
        root: the folder that holds JPEGImages and Annotations.
        split: "train" or "val", listed in ImageSets; None for every folder of JPEGImages.
        year: 2016 reads all objects of a video as one; 2017 keeps their ids.

    Raises:
        UserError: a folder, the split file, a sequence or its first mask is missing, empty, corrupt or inconsistent.
    """
    if split is None:
        images = _images_folder(root)
        names: Iterable[str] = [entry.name for entry in images.iterdir() if entry.is_dir() and _visible(entry)]
        if not names:
            raise UserError(f"{images}: holds no sequences; expected one folder of frames per video")
    else:
        names = split_names(root, split, year)
    return open_sequences(root, names, year)


def open_sequences(root: Path, names: Iterable[str], year: int) -> list[Video]:
    """Open the named sequences, sorted by name; arguments and errors as for `open_davis`."""
    images = _images_folder(root)
    annotations = _resolution_folder(root / "Annotations")
    return [_open_sequence(images / name, annotations / name, year) for name in sorted(set(names))]


def split_names(root: Path, split: str, year: int) -> list[str]:
    """Read the sequence names of a split file, in its order.

    The archive of DAVIS 2016 lists frames in ImageSets/480p instead ("/JPEGImages/480p/bear/00000.jpg …").

    Raises:
        UserError: the file is missing, empty or not text, or names a sequence that does not exist.
    """
    file = root / "ImageSets" / str(year) / f"{split}.txt"
    frame_list = root / "ImageSets" / "480p" / f"{split}.txt"
    if year == 2016 and not file.exists() and frame_list.exists():
        file = frame_list
    try:
        entries = [Path(line.split()[0]) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{file}: no such split file; list one sequence name per line there") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: cannot be read as text ({error})") from None
    names = dict.fromkeys(entry.parent.name if entry.suffix in FRAME_SUFFIXES else str(entry) for entry in entries)
    if not names:
        raise UserError(f"{file}: lists no sequences; write one sequence name per line")
    for name in names:
        if Path(name).name != name or not (_images_folder(root) / name).is_dir():
            raise UserError(
                f"{file}: names the sequence {name}, which is not in {_images_folder(root)}; add or remove it"
            )
    return list(names)


def _open_sequence(images: Path, annotations: Path, year: int) -> Video:
    frames = _files_by_stem(images, FRAME_SUFFIXES)
    masks = _files_by_stem(annotations, (".png",))
    if not frames:
        raise UserError(f"{images}: sequence without frames; expected files such as 00000.jpg")
    if not masks:
        raise UserError(f"{annotations}: sequence without masks; expected files such as 00000.png")
    for stem, mask in masks.items():
        if stem not in frames:
            raise UserError(f"{mask}: mask without its frame {images / stem}.jpg; restore the frame or remove the mask")
    names = sorted(frames, key=natural_sort_key)
    sequence = Video(
        name=images.name,
        frame_names=tuple(names),
        frames=tuple(frames[name] for name in names),
        masks=tuple(masks.get(name) for name in names),
        single_object=year == 2016,
    )
    _check_first_mask(sequence)
    return sequence


def _check_first_mask(sequence: Video) -> None:
    index, mask = next((index, mask) for index, mask in enumerate(sequence.masks) if mask is not None)
    labels = sequence.labels(index)
    if labels is None or not ((labels != 0) & (labels != VOID)).any():
        raise UserError(f"{mask}: the first mask of {sequence.name} shows no object; draw one or remove the sequence")


def _files_by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the files of one sequence")
    files: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in suffixes and _visible(file):
            if file.stem in files:
                raise UserError(f"{file}: has the same name as {files[file.stem].name}; keep one of them")
            files[file.stem] = file
    return files


def _images_folder(root: Path) -> Path:
    return _resolution_folder(root / "JPEGImages")


def _resolution_folder(folder: Path) -> Path:
    """The folder of sequences; DAVIS adds a level for the resolution."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; expected the layout of DAVIS (JPEGImages and Annotations)")
    return folder / "480p" if (folder / "480p").is_dir() else folder


def _visible(path: Path) -> bool:
    return not path.name.startswith(".")  # archives made on macOS contain .DS_Store and ._00000.jpg
