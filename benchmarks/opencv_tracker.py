"""Track boxes with a correlation filter of OpenCV: the half of `benchmarks/correlation_filter.py` that needs it.

The trackers are in OpenCV's contrib build, which cannot be installed beside the project's headless one. This file
therefore uses nothing of the project: it reads jobs as JSON from standard input and writes boxes as JSON to its output.
"""

import json
import sys
import time

import cv2

TRACKERS = {"csrt": cv2.TrackerCSRT_create, "kcf": cv2.TrackerKCF_create}


def follow(tracker_name: str, frames: list[str], box: list[int]) -> list[list[float] | None]:
    """Boxes x1, y1, x2, y2 of the frames after the first; None where the tracker reports a failure."""
    tracker = TRACKERS[tracker_name]()
    tracker.init(cv2.imread(frames[0]), (box[0], box[1], box[2] - box[0], box[3] - box[1]))
    boxes: list[list[float] | None] = []
    for frame in frames[1:]:
        found, (x, y, width, height) = tracker.update(cv2.imread(frame))
        boxes.append([x, y, x + width, y + height] if found else None)
    return boxes


def main() -> None:
    cv2.setNumThreads(2)
    jobs = json.load(sys.stdin)
    started = time.perf_counter()
    tracks = [[follow(job["tracker"], job["frames"], box) for box in job["boxes"]] for job in jobs]
    json.dump({"tracks": tracks, "seconds": time.perf_counter() - started}, sys.stdout)


if __name__ == "__main__":
    main()
