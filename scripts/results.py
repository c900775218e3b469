"""Rewrite the tables and numbers that README.md and docs/results.md take from files of results.

    .venv/bin/python scripts/results.py            # rewrite them
    .venv/bin/python scripts/results.py --check    # exit 1 if one is out of date

A generated piece of a document stands between `<!-- NAME -->` and `<!-- end -->`, NAME being a key of PIECES.
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from partprop.base.errors import UserError
from partprop.report.published import PUBLISHED

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = ("README.md", "docs/results.md")
RUNS = "reports/validation_runs.csv"
BENCHMARKS = "reports/benchmarks"
RECIPE = (("9758b6c", "1"), ("6138379", "2"))
"""Commit and seed of the `cpu` runs in RUNS that stand for the current recipe: "ours" is their mean."""
SPEED = "88860e3"  # commit of the row of speed.csv that README quotes
NEWEST_RUNS = 3  # rows of RUNS that docs/results.md shows
MARKED = re.compile(r"<!-- (?P<name>[a-z-]+) -->(?P<text>.*?)<!-- end -->", re.DOTALL)
HEADINGS = {
    "J&F_held_out": "J&F, held-out sequences",
    "J&F_bfloat16": "J&F, bfloat16",
    "J&F_single_precision": "J&F, single precision",
    "best_match": "best match",
    "previous": "from the frame before",
    "cause": "what goes wrong",
    "max_size": "`--max-size`",
    "note": "split",
    "precision_20px": "precision at 20 px",
    "share_above_quarter": "share above 0.25",
    "success_auc": "success AUC",
}
"""Of columns that read otherwise in a table."""
BOXES = ("success_auc", "precision_20px")
Row = dict[str, str]


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a document is out of date")
    check = parser.parse_args(arguments).check
    try:
        stale = [name for name in DOCUMENTS if update(root, name, write=not check)]
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    if check and stale:
        print(f"{', '.join(stale)}: out of date; run .venv/bin/python scripts/results.py", file=sys.stderr)
        sys.exit(1)


def update(root: Path, name: str, write: bool) -> bool:
    """Generate the marked pieces of a document again; returns whether one of them was out of date.

    Raises:
        UserError: a file of results is missing or lacks a column, or the document marks an unknown piece.
    """
    path = root / name
    old = path.read_text(encoding="utf-8")

    def generated(match: re.Match[str]) -> str:
        piece = match["name"]
        if piece not in PIECES:
            raise UserError(f"{name}: marks an unknown piece {piece}; known are {', '.join(PIECES)}")
        return f"<!-- {piece} -->{PIECES[piece](root)}<!-- end -->"

    new = MARKED.sub(generated, old)
    if write and new != old:
        path.write_text(new, encoding="utf-8")
    return new != old


def read_rows(root: Path, name: str, columns: Iterable[str]) -> list[Row]:
    """The rows of a CSV file that has at least `columns`.

    Raises:
        UserError: the file is missing, lacks a column or has no rows.
    """
    try:
        with (root / name).open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows, found = list(reader), reader.fieldnames or []
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; restore it with `git checkout {name}`") from None
    missing = [column for column in columns if column not in found]
    if missing:
        raise UserError(f"{name}: no column {', '.join(missing)}; rename it back, or change scripts/results.py")
    if not rows:
        raise UserError(f"{name}: no rows; restore it with `git checkout {name}`")
    return rows


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table with a line break before and after it."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def columns_of(file: str, columns: Sequence[str]) -> Callable[[Path], str]:
    """A piece: the table of some columns of a file of BENCHMARKS, under HEADINGS or their own names."""
    header = [HEADINGS.get(column, column.replace("_", " ")) for column in columns]

    def piece(root: Path) -> str:
        rows = read_rows(root, f"{BENCHMARKS}/{file}", columns)
        return table(header, [[row[column] for column in columns] for row in rows])

    return piece


def number(text: str) -> str:
    """A measure in [0, 1] with three decimals; empty stays empty."""
    return f"{float(text):.3f}" if text else ""


def interval(low: str, high: str, unit: str = "") -> str:
    """Both ends, or one number where they are equal."""
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def recipe(root: Path) -> list[Row]:
    """The rows of RUNS that RECIPE names.

    Raises:
        UserError: one is not there.
    """
    rows = read_rows(root, RUNS, ("commit", "preset", "seed", "J&F", "J", "F", "low", "high"))
    found = []
    for commit, seed in RECIPE:
        match = [r for r in rows if r["preset"].startswith("cpu") and (r["commit"], r["seed"]) == (commit, seed)]
        if not match:
            raise UserError(
                f"{RUNS}: no run of preset cpu at {commit} with seed {seed}; see RECIPE in scripts/results.py"
            )
        found.append(match[-1])
    return found


def mean(rows: Sequence[Row], column: str) -> str:
    return f"{sum(float(row[column]) for row in rows) / len(rows):.3f}"


def results(root: Path) -> str:
    """Ours, published methods and baselines on the validation videos of DAVIS 2016."""
    ours = recipe(root)
    seeds = ", ".join(row["seed"] for row in ours)
    low, high = (number(choose(row[end] for row in ours)) for end, choose in (("low", min), ("high", max)))
    davis = read_rows(root, f"{BENCHMARKS}/speed_davis.csv", ("frames_per_second",))
    speed = max((row["frames_per_second"] for row in davis), key=float)
    header = ["method", "started with", "J&F", "95 % interval", "J", "F", "frames per second"]
    scores = [mean(ours, column) for column in ("J&F", "J", "F")]
    rows = [
        [f"**partprop**, mean of seeds {seeds}", "mask", f"**{scores[0]}**", f"{low} to {high}", *scores[1:], speed]
    ]
    for row in read_rows(root, f"{BENCHMARKS}/box_start.csv", ("start", "J&F")):
        rows.append(["partprop, mask in the box by GrabCut", row["start"], row["J&F"], "", "", "", ""])
    rows += [[p.method, "mask", f"{p.j_and_f:.3f}", "", f"{p.j:.3f}", f"{p.f:.3f}", ""] for p in PUBLISHED]
    outside = ("method", "start", "J&F", "J", "F", "frames_per_second")
    for row in read_rows(root, f"{BENCHMARKS}/published.csv", outside):
        rows.append([row["method"], row["start"], row["J&F"], "", row["J"], row["F"], row["frames_per_second"]])
    for row in read_rows(root, f"{BENCHMARKS}/baselines.csv", ("baseline", "J&F")):
        rows.append([f"baseline: {row['baseline']}", "mask", row["J&F"], "", "", "", ""])
    return table(header, rows)


def runs(root: Path) -> str:
    """The newest runs on the validation videos."""
    wanted = ("date", "commit", "preset", "seed", "J&F", "J", "F", "low", "high", "command")
    rows = read_rows(root, RUNS, wanted)[-NEWEST_RUNS:]
    cells = [
        [
            *(row[key] for key in ("date", "commit", "preset", "seed")),
            *(number(row[key]) for key in ("J&F", "J", "F")),
            interval(number(row["low"]), number(row["high"])),
            f"`{row['command']}`",
        ]
        for row in rows
    ]
    return table(["date", "commit", "preset", "seed", "J&F", "J", "F", "95 % interval", "command"], cells)


def mini(root: Path) -> str:
    """Our method and the baselines on the rendered validation videos of the committed run."""
    name = "reports/metrics.json"
    try:
        metrics = json.loads((root / name).read_text(encoding="utf-8"))
        blocks = {"partprop": metrics["ours"], **metrics["baselines"]}
        rows = []
        for method, block in blocks.items():
            low, high = block["J&F_interval"]["low"], block["J&F_interval"]["high"]
            values = [block["J&F"], block["J"]["mean"], block["F"]["mean"], *(block["boxes"][key] for key in BOXES)]
            cells = [f"{value:.3f}" for value in values]
            rows.append([method.replace("_", " "), cells[0], f"{low:.3f} to {high:.3f}", *cells[1:]])
    except FileNotFoundError:
        raise UserError(f"{name}: no such file; run snakemake, or restore it with `git checkout {name}`") from None
    except (KeyError, ValueError) as error:
        raise UserError(f"{name}: not the metrics of the stage evaluate ({error}); run snakemake again") from None
    return table(["method", "J&F", "95 % interval", "J", "F", "success AUC", "precision at 20 px"], rows)


def ablations(root: Path) -> str:
    """The network without each of its parts, on held-out training sequences."""
    rows = read_rows(root, "reports/ablations.csv", ("variant", "J&F", "J", "F", "seconds_per_frame"))
    cells = [[r["variant"], number(r["J&F"]), number(r["J"]), number(r["F"]), r["seconds_per_frame"]] for r in rows]
    return table(["network", "J&F", "J", "F", "seconds per frame"], cells)


def published(root: Path) -> str:
    """Where the numbers of other methods come from, as a list."""
    outside = read_rows(root, f"{BENCHMARKS}/published.csv", ("method", "citation", "url"))
    sources = [(result.method, result.citation, result.url) for result in PUBLISHED]
    sources += [(row["method"], row["citation"], row["url"]) for row in outside]
    return "\n" + "".join(f"- {method}: [{citation}]({url})\n" for method, citation, url in sources)


def speed(root: Path) -> str:
    """`partprop benchmark` on several machines, the newest measurement of each."""
    ranges = ("frames_per_second", "further_overlapping", "further_apart")
    columns = ["machine", "commit", "runs", *(f"{name}_{end}" for name in ranges for end in ("low", "high"))]
    newest = {row["machine"]: row for row in read_rows(root, f"{BENCHMARKS}/speed.csv", columns)}
    cells = [
        [row["machine"], interval(row[f"{ranges[0]}_low"], row[f"{ranges[0]}_high"])]
        + [interval(row[f"{name}_low"], row[f"{name}_high"], " %") for name in ranges[1:]]
        + [row["runs"], row["commit"]]
        for row in newest.values()
    ]
    header = ["machine", "frames per second, one object", "each further, overlapping", "each further, apart"]
    return table([*header, "runs", "commit"], cells)


def memory(root: Path) -> str:
    """Peak memory of `partprop segment`."""
    columns = ("clip", "frames", "peak_mib_low", "peak_mib_high", "commit", "command")
    rows = read_rows(root, f"{BENCHMARKS}/memory.csv", columns)
    cells = [
        [row["clip"], row["frames"], interval(row["peak_mib_low"], row["peak_mib_high"]), row["commit"]] for row in rows
    ]
    return table(["clip of 854×480", "frames", "peak memory, MiB", "commit"], cells)


def pipeline(root: Path) -> str:
    """Duration of whole runs."""
    columns = ("preset", "machine", "minutes_low", "minutes_high", "commits", "command")
    rows = read_rows(root, f"{BENCHMARKS}/pipeline_time.csv", columns)
    cells = [
        [r["preset"], r["machine"], interval(r["minutes_low"], r["minutes_high"]), r["commits"], f"`{r['command']}`"]
        for r in rows
    ]
    return table(["preset", "machine", "minutes", "commits", "command"], cells)


def mini_minutes(root: Path) -> str:
    """The shortest and the longest run of `mini`, in minutes."""
    rows = read_rows(root, f"{BENCHMARKS}/pipeline_time.csv", ("preset", "minutes_low", "minutes_high"))
    of_mini = [row for row in rows if row["preset"] == "mini"]
    low = min(float(row["minutes_low"]) for row in of_mini)
    high = max(float(row["minutes_high"]) for row in of_mini)
    return f"{low:.0f} to {high:.0f}"


def benchmark_speed(root: Path) -> str:
    """Frames per second of `partprop benchmark` with one object, at SPEED."""
    columns = ("commit", "frames_per_second_low", "frames_per_second_high")
    rows = [row for row in read_rows(root, f"{BENCHMARKS}/speed.csv", columns) if row["commit"] == SPEED]
    if not rows:
        raise UserError(f"{BENCHMARKS}/speed.csv: no row of {SPEED}; see SPEED in scripts/results.py")
    return interval(rows[-1][columns[1]], rows[-1][columns[2]])


PIECES: dict[str, Callable[[Path], str]] = {
    "results": results,
    "published": published,
    "runs": runs,
    "mini": mini,
    "ablations": ablations,
    "speed": speed,
    "benchmark-speed": benchmark_speed,
    "memory": memory,
    "pipeline": pipeline,
    "mini-minutes": mini_minutes,
    "held-out": columns_of("seeds.csv", ["recipe", "seed", "J&F_held_out", "commit"]),
    "speed-davis": columns_of("speed_davis.csv", ["machine", "precision", "frames_per_second", "commit", "command"]),
    "max-size": columns_of("max_size.csv", ["max_size", "J&F", "J", "F", "frames_per_second"]),
    "boxes": columns_of("boxes.csv", ["tracker", "success_auc", "precision_20px", "commit", "command"]),
    "keys": columns_of("keys.csv", ["keys", "attention", "best_match", "filter", "previous", "commit"]),
    "parts": columns_of("parts.csv", ["boxes", "median_error", "share_above_quarter", "commit"]),
    "several-objects": columns_of(
        "several_objects.csv", ["video", "objects", "J&F_bfloat16", "J&F_single_precision", "note", "commit"]
    ),
    "failures": columns_of("failures.csv", ["sequence", "J", "F", "missed", "too_much", "lost_frames", "cause"]),
    "scoring": columns_of("scoring.csv", ["program", "seconds", "processes", "commit"]),
}


if __name__ == "__main__":
    main()
