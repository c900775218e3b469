"""Folders of results and annotations: find the sequences in them and evaluate results against annotations."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from partprop.base.errors import UserError
from partprop.base.files import write_csv, write_json
from partprop.data.video import Video, natural_sort_key
from partprop.evaluation.workers import Missing, score_folders
from partprop.metrics.schema import Metrics
from partprop.metrics.summary import summarise

SHOWN_NAMES = 5  # maximum number of sequences listed in an error message


def evaluate_folders(
    results: Path,
    annotations: Path,
    sequences: Path | None = None,
    json_file: Path | None = None,
    csv_file: Path | None = None,
    jobs: int = 1,
    missing: Missing = "error",
) -> Metrics:
    """Evaluate a folder of results by the DAVIS semi-supervised protocol.

    Args:
        results: folder with `<sequence>/<frame>.png`, or with `<shard>/<sequence>/<frame>.png`.
        annotations: folder of the true masks, see `open_annotations`.
        sequences: text file with the names to evaluate, one per line; None for all sequences in `results`.
        json_file: where to write the metrics; None for nowhere.
        csv_file: where to write J and F of each object; None for nowhere.
        jobs: number of processes; the scores do not depend on it.
        missing: how missing predictions count, of frames and of whole sequences that are named in `sequences`.

    Raises:
        UserError: a folder has no sequences or lacks some; or a file is missing, corrupt, of another size than its
            counterpart, or has unknown object ids.
    """
    found = open_named_results(results, sequences, missing=missing)
    truths = open_annotations(annotations, found)
    metrics = summarise(score_folders([(truth, found[truth.name]) for truth in truths], jobs, missing))
    if json_file is not None:
        write_json(json_file, metrics)
    if csv_file is not None:
        write_csv(csv_file, ("sequence", "object", "J&F", "J", "F"), object_rows(metrics))
    return metrics


def open_named_results(
    root: Path, sequences: Path | None, like: Mapping[str, Path] | None = None, missing: Missing = "error"
) -> dict[str, Path]:
    """Find the folders of results by sequence, in the order of the names.

    Args:
        root: folder of results, see `find_results`.
        sequences: text file with the names to take, one per line; None for all.
        like: other results whose sequences to take if `sequences` is None.
        missing: "empty" to accept named sequences that `root` lacks.

    Raises:
        UserError: as in `find_results` and `read_names`; or a named sequence is missing while `missing` is "error".
    """
    found = find_results(root)
    names = sorted(like or found) if sequences is None else read_names(sequences)
    if missing == "empty":
        return {name: found.get(name, root / name) for name in names}
    if absent := [name for name in names if name not in found]:
        reason = f"listed in {sequences}" if sequences is not None else "which the other results have"
        raise UserError(f"{root}: lacks {_listed(absent)}, {reason}; add them, or choose others with --sequences")
    return {name: found[name] for name in names}


def find_results(root: Path) -> dict[str, Path]:
    """Find the folder of each sequence: the folders with PNG files directly in `root` or in its shards, by name.

    Raises:
        UserError: `root` is missing or has no sequences, or two shards have the same one.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected results as <sequence>/<frame>.png")
    found: dict[str, Path] = {}
    for child in _subfolders(root):
        for folder in [child] if _has_png(child) else [inner for inner in _subfolders(child) if _has_png(inner)]:
            if folder.name in found:
                raise UserError(f"{folder}: the same sequence as {found[folder.name]}; delete the outdated one")
            found[folder.name] = folder
    if not found:
        raise UserError(f"{root}: has no sequences; expected results as <sequence>/<frame>.png")
    return found


def require_exactly(found: Mapping[str, Path], names: Iterable[str], root: Path) -> None:
    """Check that the results found in `root` are exactly those of the split with the sequences `names`.

    Raises:
        UserError: a sequence is missing, or one is not in the split.
    """
    if absent := sorted(set(names) - set(found)):
        raise UserError(f"{root}: lacks {_listed(absent)} of the split; run the stage that writes it again")
    if extra := sorted(set(found) - set(names)):
        raise UserError(f"{root}: has {_listed(extra)}, not in the split; delete {found[extra[0]]}")


def open_annotations(root: Path, names: Iterable[str]) -> list[Video]:
    """Open the true masks of the named sequences, in that order.

    The masks are `<sequence>/<frame>.png` in the first existing folder of Annotations/480p, Annotations, 480p and
    `root` itself. Every mask is a frame; the images are not needed.

    Raises:
        UserError: the folder is missing or lacks a sequence.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected annotations as <sequence>/<frame>.png")
    candidates = (root / "Annotations" / "480p", root / "Annotations", root / "480p", root)
    folder = next(candidate for candidate in candidates if candidate.is_dir())
    masks = {name: _pngs(folder / name) for name in names}
    if absent := [name for name, files in masks.items() if not files]:
        if len(absent) == len(masks):
            raise UserError(f"{folder}: has no sequence in common with the results; expected {_listed(absent)}")
        raise UserError(f"{folder}: lacks {_listed(absent)}; add them, or choose others with --sequences")
    return [_mask_sequence(name, files) for name, files in masks.items()]


def read_names(path: Path) -> list[str]:
    """Read the sequence names in a text file, one per line, without blank lines and duplicates.

    Raises:
        UserError: the file is missing, not UTF-8 text, or lists no names.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: cannot be read as text ({error}); write one sequence name per line in UTF-8"
        ) from None
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise UserError(f"{path}: lists no sequences; write one name per line")
    return names


def object_rows(metrics: Metrics) -> Iterator[tuple[str, str, float, float, float]]:
    """Yield a row (sequence, object, J&F, J, F) for each object."""
    for name, sequence in metrics["sequences"].items():
        for number, scores in sequence["objects"].items():
            yield name, number, (scores["J"] + scores["F"]) / 2, scores["J"], scores["F"]


def _mask_sequence(name: str, masks: list[Path]) -> Video:
    """A video of masks alone: they take the place of the images, which are not read here."""
    frame_names = tuple(mask.stem for mask in masks)
    return Video(name, frame_names, frames=tuple(masks), masks=tuple(masks), single_object=False)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _pngs(folder: Path) -> list[Path]:
    """The mask files of a sequence in the order of the frames."""
    masks = (mask for mask in folder.glob("*.png") if not mask.name.startswith("."))
    return sorted(masks, key=lambda mask: natural_sort_key(mask.stem))


def _has_png(folder: Path) -> bool:
    return any(True for _ in folder.glob("*.png"))


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown
