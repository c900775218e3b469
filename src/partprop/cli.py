"""The command line. Commands import what they need when they run, so that help appears at once."""

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from partprop.base.disk import full_disk_as_user_error
from partprop.base.errors import UserError
from partprop.process.allocator import keep_freed_pages
from partprop.process.tuning import tune

app = typer.Typer(
    help="One-shot video object segmentation: track an object's parts and propagate their masks through the video.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # Rich's tables would show the Python type of every option
)


def _examples(*lines: str) -> str:
    """The end of a command's help; \\b keeps Click from wrapping the lines."""
    return "\n  ".join(["\b\nExamples:", *lines])


Device = Annotated[str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda or mps.")]
Weights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Weights of your own, made by scripts/ship_weights.py.",
        show_default="the weights in the package",
    ),
]
Sequences = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Text file with the names of the sequences to score, one per line.",
        show_default="all sequences of the results",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(min=1, metavar="N", help="Number of processes; does not change the scores.", show_default="all cores"),
]
ALL_CORES = os.cpu_count() or 1


@app.command(epilog=_examples("partprop stage evaluate", "partprop stage infer --shard 0"))
def stage(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A stage of dvc.yaml, such as train_tracking.")],
    shard: Annotated[
        int | None, typer.Option(metavar="K", help="Which shard to run, for a stage with foreach, such as infer.")
    ] = None,
) -> None:
    """Run one stage of the pipeline.

    Call it in the root of the repository. The stage runs whether or not it is up to date: it reads its parameters from
    params.yaml, writes the outputs that dvc.yaml lists and logs a run to MLflow. DVC starts every stage with this
    command. On its own, the command neither runs earlier stages nor updates dvc.lock; `snakemake` and `dvc repro` do.
    """
    from partprop.pipeline.runner import run_stage

    run_stage(name, shard)


@app.command(epilog=_examples("partprop check"))
def check() -> None:
    """Check the pipeline before running it.

    Prints a line for each of: parameters, data sources, installed packages, free disk space. Stops at the first error.
    """
    from partprop.pipeline.check import check_everything

    for finding in check_everything():
        print(finding)


@app.command(
    epilog=_examples(
        "partprop segment clip.mp4 --mask first.png -o masks --overlay film.mp4",
        "partprop segment frames/ --box 310,120,420,330 -o masks --tracks tracks.csv",
        "partprop segment clip.mp4 --mask first.png --mask 40:2=late.png -o masks",
    )
)
def segment(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="Video file or folder of images.")],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="New or empty folder for the masks."),
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FRAME:][ID=]PNG",
            help="Mask of the object(s) in the first frame, or in frame FRAME. ID makes all of it one object with this "
            "number; without it, the values in the mask are the numbers. Repeatable.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FRAME:]X1,Y1,X2,Y2",
            help="Box of an object in pixels (left, top, right, bottom); GrabCut makes a mask in it. Repeatable.",
        ),
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a video with masks and parts drawn on it (MP4).")
    ] = None,
    tracks: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write boxes and confidences of objects and parts (CSV).")
    ] = None,
    weights: Weights = None,
    device: Device = "auto",
    max_size: Annotated[
        int | None,
        typer.Option(
            min=64, metavar="PIXELS", help="Resize frames to at most this longer side: faster, but less accurate."
        ),
    ] = None,
    start: Annotated[int, typer.Option(min=0, metavar="FRAME", help="First frame to process, counted from 0.")] = 0,
    end: Annotated[
        int | None,
        typer.Option(min=1, metavar="FRAME", help="Stop before this frame.", show_default="the end of the video"),
    ] = None,
    every: Annotated[int, typer.Option(min=1, metavar="N", help="Process every N-th frame.")] = 1,
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize masks that do not have the size of the frames.")
    ] = False,
) -> None:
    """Segment objects through a video.

    Each object is given by a mask or a box in one frame. Writes a palette PNG per frame, in which the value of a
    pixel is the number of its object and 0 is background.
    """
    tune()
    from partprop.pretrained import LITE0
    from partprop.segment.command import segment_video
    from partprop.segment.prompts import parse_box, parse_mask
    from partprop.segment.request import Request

    prompts = [parse_mask(text) for text in mask or []] + [parse_box(text) for text in box or []]
    request = Request(
        video, output, prompts, overlay, tracks, weights or LITE0, device, max_size, start, end, every, resize
    )
    try:
        lines = segment_video(request)
    except KeyboardInterrupt as error:
        if str(error):  # says which outputs are complete
            print(error, file=sys.stderr)
        raise
    for line in lines:
        print(line)


@app.command(epilog=_examples("partprop demo", "partprop demo --port 8080"))
def demo(
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="PORT", help="Port on 127.0.0.1, reachable from this machine only.")
    ] = 7860,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Segment a clip in the browser.

    Serves a page on which you paint an object in the first frame of a clip and get a video and its masks. Needs
    Gradio: pip install 'partprop[demo]'
    """
    tune()
    try:
        from partprop.demo.page import serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError("partprop demo: needs Gradio; install it: pip install 'partprop[demo]'") from None
    from partprop.pretrained import LITE0

    serve(port, weights or LITE0, device)


@app.command(
    epilog=_examples(
        "partprop evaluate results/davis data/davis/Annotations/480p",
        "partprop evaluate masks truth --sequences val.txt --json scores.json --csv objects.csv",
    )
)
def evaluate(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Folder of predicted masks: <sequence>/<frame>.png.")
    ],
    annotations: Annotated[
        Path,
        typer.Argument(metavar="ANNOTATIONS", help="Folder of true masks in the same layout, or a DAVIS folder."),
    ],
    sequences: Sequences = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all scores (JSON).")] = None,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Write J and F of every object (CSV).")] = None,
    missing: Annotated[
        Literal["error", "empty"],
        typer.Option(metavar="error|empty", help="Treat a missing prediction as an error, or as an empty mask."),
    ] = "error",
    jobs: Jobs = ALL_CORES,
) -> None:
    """Score masks by the official DAVIS protocol.

    The scores are region similarity J, contour accuracy F and their mean J&F. Prints J&F with its 95 % bootstrap
    interval over the sequences, then J and F.
    """
    from partprop.evaluation.folders import evaluate_folders

    if json is not None and csv is not None and json.resolve() == csv.resolve():
        raise UserError(f"--json, --csv: both are {csv}; name two files")
    metrics = evaluate_folders(
        results, annotations, sequences, json_file=json, csv_file=csv, jobs=jobs, missing=missing
    )
    low, high = metrics["J&F_interval"]["low"], metrics["J&F_interval"]["high"]
    print(
        f"J&F {metrics['J&F']:.4f} [{low:.4f}, {high:.4f}]  J {metrics['J']['mean']:.4f}  F {metrics['F']['mean']:.4f}"
    )


@app.command(epilog=_examples("partprop compare masks_a masks_b data/davis -o comparison"))
def compare(
    first: Annotated[Path, typer.Argument(metavar="FIRST", help="Folder of predicted masks: <sequence>/<frame>.png.")],
    second: Annotated[
        Path, typer.Argument(metavar="SECOND", help="Folder of other predicted masks of the same sequences.")
    ],
    annotations: Annotated[
        Path,
        typer.Argument(metavar="ANNOTATIONS", help="Folder of true masks in the same layout, or a DAVIS folder."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FOLDER", help="Folder for scores (JSON) and pictures.")
    ] = Path("compare"),
    sequences: Sequences = None,
    jobs: Jobs = ALL_CORES,
) -> None:
    """Compare two results on the same videos.

    Answers whether the second is better, and on which sequences and frames. Prints J&F of both and their
    difference, each with its 95 % bootstrap interval over the sequences.
    """
    from partprop.evaluation.comparison import compare_folders
    from partprop.report.comparison_files import write_comparison

    comparison = compare_folders(first, second, annotations, sequences, jobs)
    write_comparison(comparison, (str(first), str(second)), output)
    print(f"J&F {comparison.first}  {first}")
    print(f"J&F {comparison.second}  {second}")
    print(f"difference {comparison.gain}, 95 % bootstrap interval over {len(comparison.sequences)} sequences")
    print(f"scores by sequence and the frames that differ most: {output}")


@app.command(epilog=_examples("partprop benchmark", "partprop benchmark --device cuda --json speed.json"))
def benchmark(
    device: Device = "auto",
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all measurements (JSON).")] = None,
) -> None:
    """Measure the speed on this machine.

    Segments rendered frames of 854x480 pixels; prints frames per second and the time of each step.
    """
    tune()
    from partprop.base.files import write_json
    from partprop.segment.benchmark import describe, run_benchmark

    measured = run_benchmark(device)
    print(describe(measured))
    if json is not None:
        write_json(json, measured)


def main() -> None:
    """Run the command line. A UserError becomes one line on stderr and exit code 2; Ctrl-C exits with 130."""
    keep_freed_pages()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as on stderr: file names may not be valid UTF-8
    try:
        with full_disk_as_user_error():
            app()
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
