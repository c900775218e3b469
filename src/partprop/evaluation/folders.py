"""Find sequences in folders of results and of annotations, and evaluate the one against the other."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from partprop.base.errors import UserError
from partprop.base.files import write_csv, write_json
from partprop.data.video import Video, natural_sort_key
from partprop.evaluation.workers import Missing, score_folders
from partprop.metrics.schema import Metrics
from partprop.metrics.summary import summarise

SHOWN_NAMES = 5  # of a list of sequences in an error


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
        results: holds `<sequence>/<frame>.png`, or one level deeper in folders of shards.
        annotations: holds the true masks, see `open_annotations`.
        sequences: a text file with the names to evaluate, one per line; None evaluates all of `results`.
        json_file: where to write the metrics, if anywhere.
        csv_file: where to write J and F of each object, if anywhere.
        jobs: number of processes; the numbers do not depend on it.
        missing: what predictions of frames, and of sequences that `sequences` names, count as that are not there.

    Raises:
        UserError: a folder holds no sequences or not those that it should, or a file is missing, corrupt, of other
            size than its counterpart, or names unknown objects.
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
    """The folders of results, by sequence: all under `root`, those named by a file, or those that `like` has, too.

    Raises:
        UserError: as of `find_results` and `read_names`, or one that is named is absent.
    """
    found = find_results(root)
    names = sorted(like or found) if sequences is None else read_names(sequences)
    if missing == "empty":
        return {name: found.get(name, root / name) for name in names}
    if absent := [name for name in names if name not in found]:
        wanted = f"named by {sequences}" if sequences is not None else "which the other results have"
        raise UserError(f"{root}: lacks {_listed(absent)}, {wanted}; add them, or name others with --sequences")
    return {name: found[name] for name in names}


def find_results(root: Path) -> dict[str, Path]:
    """The folder of each sequence under `root`, directly or in shards: those that hold PNGs, by their name.

    Raises:
        UserError: `root` is missing or holds no sequences, or two shards hold the same one.
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
        raise UserError(f"{root}: holds no sequences; expected results as <sequence>/<frame>.png")
    return found


def require_exactly(found: Mapping[str, Path], names: Iterable[str], root: Path) -> None:
    """Check that the results found under `root` are those of the sequences `names`.

    Raises:
        UserError: a sequence is absent or too many.
    """
    if absent := sorted(set(names) - set(found)):
        raise UserError(f"{root}: lacks {_listed(absent)} of the split; run the stage that writes it again")
    if extra := sorted(set(found) - set(names)):
        raise UserError(f"{root}: holds {_listed(extra)}, not in the split; delete {found[extra[0]]}")


def open_annotations(root: Path, names: Iterable[str]) -> list[Video]:
    """Open the true masks of the named sequences, in that order.

    The masks are `<sequence>/<frame>.png` in the first of Annotations/480p, Annotations, 480p and `root` itself that
    exists. Every mask counts as a frame; the images are not needed.

    Raises:
        UserError: the folder is missing or lacks one of the sequences.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected annotations as <sequence>/<frame>.png")
    candidates = (root / "Annotations" / "480p", root / "Annotations", root / "480p", root)
    folder = next(candidate for candidate in candidates if candidate.is_dir())
    masks = {name: _pngs(folder / name) for name in names}
    if absent := [name for name, files in masks.items() if not files]:
        if len(absent) == len(masks):
            raise UserError(f"{folder}: has no sequence in common with the results; expected {_listed(absent)}")
        raise UserError(f"{folder}: lacks {_listed(absent)}; add them, or name the others with --sequences")
    return [_mask_sequence(name, files) for name, files in masks.items()]


def read_names(path: Path) -> list[str]:
    """The sequence names in a text file, one per line, without blank lines and repetitions.

    Raises:
        UserError: the file is missing, no text or without names.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as text ({error}); list one sequence name per line there") from None
    names = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not names:
        raise UserError(f"{path}: lists no sequences; write one name per line")
    return names


def object_rows(metrics: Metrics) -> Iterator[tuple[str, str, float, float, float]]:
    """Rows sequence, object, J&F, J, F."""
    for name, sequence in metrics["sequences"].items():
        for number, scores in sequence["objects"].items():
            yield name, number, (scores["J"] + scores["F"]) / 2, scores["J"], scores["F"]


def _mask_sequence(name: str, masks: list[Path]) -> Video:
    """A video whose masks stand in for its frames, which nobody looks at here."""
    frame_names = tuple(mask.stem for mask in masks)
    return Video(name, frame_names, frames=tuple(masks), masks=tuple(masks), single_object=False)


def _subfolders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _pngs(folder: Path) -> list[Path]:
    """The masks of a sequence in the order of the frames."""
    masks = (mask for mask in folder.glob("*.png") if not mask.name.startswith("."))
    return sorted(masks, key=lambda mask: natural_sort_key(mask.stem))


def _has_png(folder: Path) -> bool:
    return any(True for _ in folder.glob("*.png"))


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:SHOWN_NAMES])
    return f"{shown} and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else shown
