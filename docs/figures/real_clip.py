"""Draw docs/images/clip.jpg: frames of a DAVIS video with the mask and the parts that `partprop segment` finds.

    .venv/bin/python docs/figures/real_clip.py ../DAVIS dog

The first picture shows the given mask; the others show the predicted mask (tinted), the box of the object (blue) and
the boxes of its parts (white). The frames are from DAVIS 2016 (Perazzi et al., CVPR 2016), CC BY-NC 4.0.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

OUTPUT = Path("docs/images/clip.jpg")
WIDTH = 300  # pixels of each picture
GAP = 4  # pixels between pictures
QUALITY = 88
LIMIT = 500_000  # bytes of the file
OBJECT, PART, INK = (233, 180, 86), (255, 255, 255), (40, 40, 40)  # BGR
Boxes = dict[str, list[tuple[int, list[float]]]]
"""Part number (0: the whole object) and xyxy box of each row of tracks.csv, by frame name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path, help="folder with JPEGImages/480p and Annotations/480p")
    parser.add_argument("sequence", help="name of a sequence, such as dog")
    parser.add_argument("--frames", type=int, nargs="+", default=[0, 20, 40, 50, -1], help="positions; -1 is the last")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    frames = sorted((arguments.davis / "JPEGImages" / "480p" / arguments.sequence).glob("*.jpg"))
    given = arguments.davis / "Annotations" / "480p" / arguments.sequence
    if not frames or not given.is_dir():
        sys.exit(f"{arguments.davis}: no sequence {arguments.sequence} in JPEGImages/480p and Annotations/480p")
    indices = sorted({range(len(frames))[index] for index in arguments.frames if index < len(frames)})
    with tempfile.TemporaryDirectory() as folder:
        masks, boxes = segment(frames[0].parent, given / f"{frames[0].stem}.png", Path(folder))
        pictures = [draw(frames[index], masks, boxes, index == 0) for index in indices]
    save(np.hstack(with_gaps(pictures)), arguments.output)


def segment(video: Path, mask: Path, folder: Path) -> tuple[Path, Boxes]:
    """Run `partprop segment` on a folder of frames; returns the folder of its masks and the rows of its tracks.csv."""
    masks, tracks = folder / "masks", folder / "tracks.csv"
    command = ["segment", str(video), "--mask", str(mask), "-o", str(masks), "--tracks", str(tracks)]
    subprocess.run([sys.executable, "-m", "partprop", *command], check=True)
    boxes: Boxes = defaultdict(list)
    with tracks.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["x1"]:  # a lost object has a row without a box
                boxes[row["frame"]].append((int(row["part"]), [float(row[side]) for side in ("x1", "y1", "x2", "y2")]))
    return masks, boxes


def draw(frame: Path, masks: Path, boxes: Boxes, first: bool) -> np.ndarray:
    """A frame with its mask and, unless it is the first, its boxes: uint8 (height, WIDTH, 3), BGR."""
    image = np.array(Image.open(frame).convert("RGB"))[..., ::-1]
    scale = WIDTH / image.shape[1]
    picture = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    size = (picture.shape[1], picture.shape[0])
    labels = np.array(Image.open(masks / f"{frame.stem}.png"))  # object ids
    share = cv2.resize((labels > 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    tint = 0.5 * share[..., None]
    picture = ((1 - tint) * picture + tint * np.array(OBJECT)).round().astype(np.uint8)
    contours, _ = cv2.findContours((share > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(picture, contours, -1, OBJECT, 1, cv2.LINE_AA)
    for part, box in sorted([] if first else boxes[frame.stem], reverse=True):
        x1, y1, x2, y2 = (round(side * scale) for side in box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), PART if part else OBJECT, 1 if part else 2)
    text = "frame 0, given mask" if first else f"frame {int(frame.stem)}"
    for colour, thickness in ((INK, 3), (PART, 1)):
        cv2.putText(picture, text, (6, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thickness, cv2.LINE_AA)
    return picture


def with_gaps(pictures: list[np.ndarray]) -> list[np.ndarray]:
    """The pictures with a white gap before all but the first."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    return [pictures[0]] + [piece for picture in pictures[1:] for piece in (gap, picture)]


def save(strip: np.ndarray, path: Path) -> None:
    """Write the strip as a JPEG of at most LIMIT bytes."""
    _, data = cv2.imencode(".jpg", strip, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if data.nbytes > LIMIT:
        sys.exit(f"{path}: would have {data.nbytes} bytes, over the limit of {LIMIT}; draw fewer frames")
    path.write_bytes(data.tobytes())
    print(f"{path}: {strip.shape[1]}x{strip.shape[0]} pixels, {data.nbytes / 1000:.0f} kB")


if __name__ == "__main__":
    main()
