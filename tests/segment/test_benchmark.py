"""`partprop benchmark`: its timing and its scene."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from partprop import pretrained
from partprop.model.building import build_network
from partprop.pretrained import save_pretrained
from partprop.segment import benchmark
from partprop.segment.benchmark import (
    APART,
    FRAMES,
    OBJECTS,
    PARTS,
    SIZE,
    TOGETHER,
    Stopwatch,
    describe,
    render_disks,
    run_benchmark,
)
from partprop.tracking.settings import Settings
from tiny import MODEL


def test_time_in_an_inner_call_counts_once(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]

    def wait(seconds: float) -> None:
        now[0] += seconds

    def encode() -> None:
        wait(1)
        network.tracker.forward()
        wait(2)

    monkeypatch.setattr(benchmark, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    network = SimpleNamespace(**{name: lambda: None for name in PARTS if name != "tracker"})
    network.encode, network.tracker = encode, SimpleNamespace(forward=lambda: wait(5))
    network.parameters = lambda: iter([torch.zeros(1)])
    watch = Stopwatch(network, PARTS)  # type: ignore[arg-type]
    network.encode()
    network.tracker.forward()
    assert watch.spent == {"encode": 3, "tracker": 10}


@pytest.mark.parametrize(("distance", "whole"), [(APART, OBJECTS), (TOGETHER, 1)])
def test_the_objects_stay_in_the_frame_and_overlap_only_if_close(distance: int, whole: int):
    for number in (0, FRAMES - 1):
        image, labels = render_disks(number, OBJECTS, distance)
        assert image.shape == (*SIZE, 3)
        areas = np.bincount(labels.ravel())[1:]
        assert len(areas) == OBJECTS
        assert (areas == areas.max()).sum() == whole


def test_every_part_of_the_network_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    save_pretrained(build_network(**MODEL), MODEL, Settings(64, 2, 0.0, 2), tmp_path / "tiny.safetensors")
    monkeypatch.setattr(pretrained, "LITE0", tmp_path / "tiny.safetensors")
    monkeypatch.setattr(benchmark, "FRAMES", 8)
    measured = run_benchmark("cpu")
    parts = measured["milliseconds"]
    assert {PARTS[name] for name in ("encode", "tracker", "memorise", "correlate", "prepare", "decode")} < set(parts)
    assert all(spent > 0 for spent in parts.values())
    assert sum(parts.values()) == pytest.approx(1000 / measured["frames_per_second"])
    assert "frames per second with one object" in describe(measured)
