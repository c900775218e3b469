"""The page of `partprop demo`, built with Gradio, an optional dependency: `pip install partprop[demo]`."""

import os
import shutil
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from partprop.base.errors import UserError
from partprop.data.labels import write_labels
from partprop.demo.strokes import Meaning, label_strokes
from partprop.media.drawing import OBJECT_COLOURS
from partprop.media.reading import open_frames
from partprop.media.writing import video_writer
from partprop.pretrained import Segmenter
from partprop.segment.command import segment_video
from partprop.segment.prompts import Prompt
from partprop.segment.request import Request
from partprop.synthetic.scene import render
from partprop.synthetic.script import script_video

# No telemetry and no network access. Gradio reads these variables on import.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import gradio as gr

HOST = "127.0.0.1"
EXAMPLE_SIZE = (270, 480)
EXAMPLE_FRAMES = 36
EXAMPLE_SEED = (2, 7)
EXAMPLE_RATE = Fraction(12)
FONT, MONOSPACE = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")  # Gradio's default fonts come from the web
INTRODUCTION = """# partprop
Upload a clip and paint over an object in its first frame, or draw a stroke from corner to corner of a box around it.
Use another colour for each further object. Nothing leaves this computer."""


def serve(port: int, weights: Path, device: str) -> None:
    """Serve the page on loopback until interrupted; then delete clips and results.

    Args:
        port: TCP port on 127.0.0.1.
        weights: file written by `save_pretrained`.
        device: auto, cpu, cuda or mps.

    Raises:
        UserError: the port is in use, or weights or device cannot be used.
    """
    Segmenter(weights, device)  # reports unusable weights now, not after the user has painted
    with tempfile.TemporaryDirectory(prefix="partprop-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        page = build_page(Path(folder), weights, device)
        launch(page, port)
        page.block_thread()


def launch(page: gr.Blocks, port: int) -> str:
    """Start serving a page in a background thread.

    Returns:
        The address of the page.

    Raises:
        UserError: the port is in use.
    """
    try:
        _, address, _ = page.launch(
            server_name=HOST,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            theme=gr.themes.Base(font=FONT, font_mono=MONOSPACE),
            footer_links=[],
            ssr_mode=False,
        )
    except OSError:
        raise UserError(f"--port {port}: already in use; choose another") from None
    print(f"partprop is running at {address}\nPress Ctrl-C to stop it.", flush=True)
    return str(address)


def build_page(folder: Path, weights: Path, device: str) -> gr.Blocks:
    """Build the page. All files it creates are below `folder`; `weights` and `device` are as for `serve`."""

    def segment(
        clip: str | None, painted: dict[str, Any] | None, meaning: Meaning, progress: gr.Progress = gr.Progress()
    ) -> tuple[str, str, str]:
        """Paths of the overlay and of an archive of masks and tracks, and the messages."""
        try:
            if clip is None or painted is None:
                raise UserError("There is no clip yet: upload one, or use the example.")
            work = Path(tempfile.mkdtemp(dir=folder))
            request = make_request(work, Path(clip), painted["layers"], meaning, weights, device)
            lines = segment_video(request, lambda done, total: progress((done, total), unit="frames"))
            archive = shutil.make_archive(str(work / "partprop"), "zip", work, "partprop")
            return str(request.overlay), archive, "\n".join(lines)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    with gr.Blocks(title="partprop", analytics_enabled=False) as page:
        gr.Markdown(INTRODUCTION)
        with gr.Row():
            clip = gr.Video(label="Clip", sources=["upload"], elem_id="clip")
            first = gr.ImageEditor(
                label="First frame",
                elem_id="first",
                sources=(),
                transforms=(),
                layers=False,
                brush=gr.Brush(colors=[_hex(colour) for colour in OBJECT_COLOURS], color_mode="fixed"),
            )
        with gr.Row():
            example = gr.Button("Use the example clip", elem_id="example")
            meaning = gr.Radio(["the object", "a box"], value="the object", label="My strokes mark", elem_id="meaning")
            go = gr.Button("Segment", variant="primary", elem_id="go")
        with gr.Row():
            overlay = gr.Video(label="Result", interactive=False, autoplay=True, elem_id="overlay")
            with gr.Column():
                messages = gr.Textbox(label="Messages", lines=3, elem_id="messages")
                masks = gr.File(label="Masks and tracks", elem_id="masks")
        clip.change(read_first_frame, clip, first)
        example.click(lambda: str(example_clip(folder)), None, clip)
        go.click(segment, [clip, first, meaning], [overlay, masks, messages])
    return page


def make_request(
    work: Path, clip: Path, layers: list[np.ndarray], meaning: Meaning, weights: Path, device: str
) -> Request:
    """The request to segment a clip from strokes over its first frame.

    Args:
        work: folder for the mask made from the strokes, and for all results.
        clip: the video file.
        layers: strokes, as for `label_strokes`.
        meaning: what the strokes mark.
        weights, device: as for `serve`.

    Raises:
        UserError: the clip cannot be read, or nothing is painted.
    """
    labels = label_strokes(_first_frame(clip), layers, meaning)
    write_labels(work / "first.png", labels)
    results, prompts = work / "partprop", [Prompt(None, mask=work / "first.png")]
    overlay, tracks = work / "overlay.mp4", results / "tracks.csv"
    return Request(clip, results / "masks", prompts, overlay, tracks, weights, device)


def read_first_frame(clip: str | None) -> np.ndarray | None:
    """The first frame of a clip, uint8 (H, W, 3), RGB; None without a clip."""
    if clip is None:
        return None
    try:
        return _first_frame(Path(clip))
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def example_clip(folder: Path) -> Path:
    """The path of a rendered clip in which an object passes behind others; rendered once into `folder`."""
    path = folder / "example.mp4"
    if not path.exists():
        height, width = EXAMPLE_SIZE
        scene = script_video(EXAMPLE_SEED, 0, width, height, EXAMPLE_FRAMES).scene
        with video_writer(path, EXAMPLE_SIZE, EXAMPLE_RATE) as add:
            for number in range(EXAMPLE_FRAMES):
                add(render(scene, number)[0], number / EXAMPLE_RATE)
    return path


def _first_frame(clip: Path) -> np.ndarray:
    return next(iter(open_frames(clip))).image


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
