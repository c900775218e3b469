"""The command line. Each command imports what it needs when it runs, so that help is there at once."""

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
    help="One-shot video object segmentation: track the object's parts, propagate their masks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help="A stage of dvc.yaml.")],
    shard: Annotated[int | None, typer.Option(help="The shard, for a stage that runs in shards.")] = None,
) -> None:
    """Run one stage of the pipeline here and now; `dvc repro` and `snakemake` run those that are stale."""
    from partprop.pipeline.runner import run_stage

    run_stage(name, shard)


@app.command()
def check() -> None:
    """Look for what would fail before it fails: parameters, sources, environment, disk."""
    from partprop.pipeline.check import check_everything

    for finding in check_everything():
        print(finding)


@app.command()
def segment(
    video: Annotated[Path, typer.Argument(help="A video file, or a folder of images.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the masks.")],
    mask: Annotated[
        list[str] | None,
        typer.Option(help="[FRAME:][ID=]PNG, a mask in the first frame or in FRAME; all that it shows is object ID."),
    ] = None,
    box: Annotated[
        list[str] | None, typer.Option(help="[FRAME:]X1,Y1,X2,Y2, a box; a mask is made in it with GrabCut.")
    ] = None,
    overlay: Annotated[Path | None, typer.Option(help="Write a film of the result here, MP4.")] = None,
    tracks: Annotated[Path | None, typer.Option(help="Write boxes, parts and confidence here, CSV.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Other weights than those that come with the package.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    max_size: Annotated[
        int | None, typer.Option(min=64, help="Pixels of the longer side at most: less is faster and coarser.")
    ] = None,
    start: Annotated[int, typer.Option(min=0, help="Number of the first frame.")] = 0,
    end: Annotated[int | None, typer.Option(min=1, help="Number of the frame after the last.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Take each so many frames only.")] = 1,
    resize: Annotated[bool, typer.Option("--resize", help="Stretch masks to the size of the frames.")] = False,
) -> None:
    """Segment the objects that a mask or a box shows through a video."""
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
        if str(error):  # something is finished
            print(error, file=sys.stderr)
        raise
    for line in lines:
        print(line)


@app.command()
def demo(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this computer alone.")] = 7860,
    weights: Annotated[Path | None, typer.Option(help="Other weights than those that come with the package.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """A page to try it: paint an object in a clip's first frame and watch it being followed."""
    tune()
    try:
        from partprop.demo.page import serve
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise UserError("partprop demo: needs Gradio; install it: pip install 'partprop[demo]'") from None
    from partprop.pretrained import LITE0

    serve(port, weights or LITE0, device)


@app.command()
def evaluate(
    results: Annotated[Path, typer.Argument(help="A folder of predicted masks: <sequence>/<frame>.png.")],
    annotations: Annotated[Path, typer.Argument(help="A folder of true masks, of the same form.")],
    sequences: Annotated[Path | None, typer.Option(help="A file that names the sequences, one a line.")] = None,
    json: Annotated[Path | None, typer.Option(help="Write all numbers here.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write the numbers of each object here.")] = None,
    missing: Annotated[
        Literal["error", "empty"], typer.Option(help="What a prediction that is not there counts as.")
    ] = "error",
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.", show_default="all cores")] = os.cpu_count() or 1,
) -> None:
    """Score masks with the official DAVIS protocol: J, F and their mean."""
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


@app.command()
def compare(
    first: Annotated[Path, typer.Argument(help="A folder of predicted masks: <sequence>/<frame>.png.")],
    second: Annotated[Path, typer.Argument(help="Another one, for the same sequences.")],
    annotations: Annotated[Path, typer.Argument(help="A folder of true masks, of the same form, or of DAVIS.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Write numbers and pictures here.")] = Path("compare"),
    sequences: Annotated[Path | None, typer.Option(help="A file that names the sequences, one a line.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes to use.", show_default="all cores")] = os.cpu_count() or 1,
) -> None:
    """Is the second result better than the first, and where? J&F with bootstrap intervals over the sequences."""
    from partprop.evaluation.comparison import compare_folders
    from partprop.report.comparison_files import write_comparison

    comparison = compare_folders(first, second, annotations, sequences, jobs)
    write_comparison(comparison, (str(first), str(second)), output)
    print(f"J&F {comparison.first}  {first}")
    print(f"J&F {comparison.second}  {second}")
    print(f"difference {comparison.gain}, 95 % bootstrap interval over {len(comparison.sequences)} sequences")
    print(f"by sequence, and where they differ most: {output}")


@app.command()
def benchmark(
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    json: Annotated[Path | None, typer.Option(help="Write all numbers here.")] = None,
) -> None:
    """How fast does this machine segment a video of 854x480 pixels, and where does the time go?"""
    tune()
    from partprop.base.files import write_json
    from partprop.segment.benchmark import describe, run_benchmark

    measured = run_benchmark(device)
    print(describe(measured))
    if json is not None:
        write_json(json, measured)


def main() -> None:
    """Run the command line; an error of the user is one line and exit code 2."""
    keep_freed_pages()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr has it: names of files may be in no encoding
    try:
        with full_disk_as_user_error():
            app()
    except UserError as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
