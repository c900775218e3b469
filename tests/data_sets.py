"""Small data sets, and an HTTP server for them on the loopback interface."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from partprop.base.files import write_json
from partprop.data.labels import write_labels


@dataclass
class Host:
    """What the server serves, and how it fails.

    Attributes:
        url: of the server.
        files: content by path.
        requests: (path, Range header) of each request, in order.
        cuts: number of bytes after which the next responses lose the connection.
        failures: status codes of the next responses.
        ranges: whether the server supports range requests.
        version: ETag of all files.
    """

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    ranges: bool = True
    version: str = '"1"'

    def requested_ranges(self) -> list[str | None]:
        return [requested for _, requested in self.requests]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("partprop.download.http.FIRST_PAUSE", 0.0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            requested = self.headers.get("Range")
            host.requests.append((self.path, requested))
            content = host.files.get(self.path)
            if host.failures or content is None:
                self.send_error(host.failures.pop(0) if host.failures else 404)
                return
            start = 0
            if requested and host.ranges and self.headers.get("If-Range", host.version) == host.version:
                start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", host.version)
            self.end_headers()
            if host.cuts:
                self.wfile.write(content[start : start + host.cuts.pop(0)])
                self.close_connection = True
            else:
                self.wfile.write(content[start:])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda request, address: None  # clients close the connection when they refuse a file
    host = Host(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield host
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARTPROP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def make_coco() -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        for number, split in enumerate(("train2017", "val2017"), start=1):
            (root / split).mkdir(parents=True)
            noise = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / split / f"{number:012d}.jpg")
            write_json(
                root / f"annotations/instances_{split}.json",
                {
                    "images": [{"id": number, "file_name": f"{number:012d}.jpg", "width": 32, "height": 24}],
                    "annotations": [
                        {
                            "id": 1,
                            "image_id": number,
                            "category_id": 1,
                            "bbox": [2, 2, 8, 8],
                            "segmentation": [[2, 2, 10, 2, 10, 10, 2, 10]],
                            "iscrowd": 0,
                        }
                    ],
                    "categories": [{"id": 1, "name": "thing"}],
                },
            )
        return root

    return make


@pytest.fixture
def make_davis() -> Callable[[Path], Path]:
    def make(root: Path) -> Path:
        for name, split in (("bear", "train"), ("cows", "val")):
            for year in (2016, 2017):
                (root / f"ImageSets/{year}").mkdir(parents=True, exist_ok=True)
                (root / f"ImageSets/{year}/{split}.txt").write_text(f"{name}\n")
            for resolution in ("480p", "1080p"):
                frames, masks = root / "JPEGImages" / resolution / name, root / "Annotations" / resolution / name
                frames.mkdir(parents=True)
                masks.mkdir(parents=True)
                for frame in ("00000", "00001", "00002"):
                    Image.new("RGB", (32, 24), (90, 60, 30)).save(frames / f"{frame}.jpg")
                    labels = np.zeros((24, 32), np.uint8)
                    labels[4:12, 4:12] = 1
                    labels[14:20, 14:20] = 2
                    write_labels(masks / f"{frame}.png", labels)
        return root

    return make
