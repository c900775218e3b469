"""Track boxes with OpenCV's correlation filters: the worker of `benchmarks/correlation_filter.py`.

The trackers are in OpenCV's contrib build, which cannot be installed beside the project's headless build. This file
therefore runs in an environment without the project. It reads jobs as JSON from stdin and writes boxes as JSON to
stdout.
"""

import json
import sys
import time

import cv2

TRACKERS = {"csrt": cv2.TrackerCSRT_create, "kcf": cv2.TrackerKCF_create}


def follow(tracker_name: str, frames: list[str], box: list[int]) -> list[list[float] | None]:
    """Track an object from its box in the first frame.

    Returns:
        A box x1, y1, x2, y2 in pixels for each frame after the first; None where the tracker reports a failure.
    """
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
