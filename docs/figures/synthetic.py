"""Draws docs/images/synthetic.png: frames of synthetic videos and still images, with their masks.

Run from the repository's root: .venv/bin/python docs/figures/synthetic.py
"""

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from partprop.params import load_params
from partprop.synthetic.scene import Scene, render
from partprop.synthetic.write import RenderSettings, image_scenes, video_scripts

VIDEOS = (2, 3, 4, 6, 7)  # of the validation split
FRAMES = (0, 7, 13, 16, 22, 31)
STILLS = 6
CELL = (192, 108)
GAP = 3
COLOURS = ((255, 40, 40), (60, 255, 60), (255, 240, 40), (60, 160, 255), (255, 60, 255))  # of the object ids


def overlay(scene: Scene, frame: int) -> np.ndarray:
    """A frame at the cell's size, with the masks' outlines; the target's is red."""
    image, labels = render(scene, frame)
    for label, colour in enumerate(COLOURS, start=1):
        contours, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, colour, 2)
    return cv2.resize(image, CELL, interpolation=cv2.INTER_AREA)


def montage(rows: list[list[np.ndarray]]) -> np.ndarray:
    """Cells of one size side by side and row below row, on white."""
    lines = [
        np.hstack([cv2.copyMakeBorder(c, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255,) * 3) for c in row])
        for row in rows
    ]
    return np.vstack(lines)[:-GAP, :-GAP]


def main() -> None:
    """Render and write the picture."""
    settings = RenderSettings(**load_params(Path("presets/mini.yaml")).data.synthetic.model_dump())
    scripts = [script for _, script in video_scripts(settings, "val")]
    rows = [[overlay(scripts[video].scene, frame) for frame in FRAMES] for video in VIDEOS]
    rows.append([overlay(scene, 0) for scene in islice(image_scenes(settings, "val"), STILLS)])
    picture = Image.fromarray(montage(rows)).quantize(256)
    Path("docs/images").mkdir(parents=True, exist_ok=True)
    picture.save("docs/images/synthetic.png", optimize=True)


if __name__ == "__main__":
    main()
