"""The page of `partprop demo`, made with Gradio, which is an extra: `pip install partprop[demo]`."""

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

# No word to anybody; read when Gradio is imported.
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

import gradio as gr

HOST = "127.0.0.1"
EXAMPLE_SIZE = (270, 480)
EXAMPLE_FRAMES = 36
EXAMPLE_SEED = (2, 7)
EXAMPLE_RATE = Fraction(12)
FONT, MONOSPACE = ("system-ui", "sans-serif"), ("ui-monospace", "monospace")  # Gradio's own are on the web
INTRODUCTION = """# partprop
Choose a clip, paint an object in its first frame, or draw a stroke from corner to corner of a box around it, and watch
it being followed. Another colour is another object. Nothing leaves this computer."""


def serve(port: int, weights: Path, device: str) -> None:
    """Serve the page on loopback until interrupted; clips and results are deleted then.

    Raises:
        UserError: the port is taken, the weights cannot be used, or the device is not there.
    """
    Segmenter(weights, device)  # or one would hear of them after painting only
    with tempfile.TemporaryDirectory(prefix="partprop-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        page = build_page(Path(folder), weights, device)
        launch(page, port)
        page.block_thread()


def launch(page: gr.Blocks, port: int) -> str:
    """Serve a page from a thread of its own; gives its address.

    Raises:
        UserError: the port is taken.
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
        raise UserError(f"--port {port}: is taken; choose another") from None
    print(f"partprop is at {address}\nCtrl-C ends it.", flush=True)
    return str(address)


def build_page(folder: Path, weights: Path, device: str) -> gr.Blocks:
    """The page; whatever it makes is written below `folder`."""

    def segment(
        clip: str | None, painted: dict[str, Any] | None, meaning: Meaning, progress: gr.Progress = gr.Progress()
    ) -> tuple[str, str, str]:
        """Film, archive of masks and tracks, and what is to be said of them."""
        try:
            if clip is None or painted is None:
                raise UserError("There is no clip yet: load one, or take the example.")
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
            example = gr.Button("Take an example", elem_id="example")
            meaning = gr.Radio(["the object", "a box"], value="the object", label="What I paint is", elem_id="meaning")
            go = gr.Button("Follow", variant="primary", elem_id="go")
        with gr.Row():
            film = gr.Video(label="Followed", interactive=False, autoplay=True, elem_id="film")
            with gr.Column():
                said = gr.Textbox(label="What was found", lines=3, elem_id="said")
                masks = gr.File(label="Masks and tracks", elem_id="masks")
        clip.change(show_first, clip, first)
        example.click(lambda: str(example_clip(folder)), None, clip)
        go.click(segment, [clip, first, meaning], [film, masks, said])
    return page


def make_request(
    work: Path, clip: Path, layers: list[np.ndarray], meaning: Meaning, weights: Path, device: str
) -> Request:
    """What is to be segmented, of a clip with something painted over its first frame; all is written below `work`.

    Raises:
        UserError: the clip cannot be read, or nothing is painted.
    """
    labels = label_strokes(_first_frame(clip), layers, meaning)
    write_labels(work / "first.png", labels)
    results, prompts = work / "partprop", [Prompt(None, mask=work / "first.png")]
    film, tracks = work / "followed.mp4", results / "tracks.csv"
    return Request(clip, results / "masks", prompts, film, tracks, weights, device)


def show_first(clip: str | None) -> np.ndarray | None:
    """The first frame of a clip, to be painted on."""
    if clip is None:
        return None
    try:
        return _first_frame(Path(clip))
    except UserError as error:
        raise gr.Error(str(error), print_exception=False) from None


def example_clip(folder: Path) -> Path:
    """A rendered clip, in which an object passes behind others."""
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
