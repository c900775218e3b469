"""Snakemake and DVC agree on what is left to do: our Snakefile with a pipeline of trivial stages."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
STAGES = """
stages:
  first:
    cmd: echo first >> ran.log && mkdir -p data && cp seed.txt data/first.txt
    deps: [seed.txt]
    params: [seed]
    outs: [data/first.txt]
    meta: {threads: "${train_tracking.threads}", resources: {mem_mb: 10}}
  infer:
    foreach: ${infer.shards}
    do:
      cmd: >-
        echo infer@${item} >> ran.log && mkdir -p results && if [ -e slow ]; then sleep 60; fi &&
        echo ${segmentation.parts} > results/${item}.txt
      deps: [data/first.txt]
      params: [segmentation.parts]
      outs: ["results/${item}.txt"]
  score:
    cmd: echo score >> ran.log && mkdir -p reports && cat results/0.txt results/1.txt > reports/score.txt
    deps: [results/0.txt, results/1.txt]
    plots: [reports/score.txt: {cache: false}]
"""


class Checkout:
    """A Git and DVC repository with our Snakefile and the trivial stages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("Snakefile", ".gitignore", "sources.yaml"):
            shutil.copy(ROOT / name, folder)
        for name in ("profiles", ".dvc"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("cache", "tmp"))
        shutil.copy(ROOT / "presets/mini.yaml", folder / "params.yaml")
        (folder / "dvc.yaml").write_text(STAGES, encoding="utf-8")
        (folder / "seed.txt").write_text("1\n", encoding="utf-8")
        self._git("init", "-q")
        self._git("add", "-A")
        self._git("commit", "-q", "-m", "start")

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a program of this environment without activating it."""
        unset = ("VIRTUAL_ENV", "DVC_ROOT", "DVC_STAGE", "PYTHONPATH", "SNAKEMAKE_PROFILE")
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        environment["PATH"] = "/usr/local/bin:/usr/bin:/bin"
        return subprocess.Popen(
            [str(PROGRAMS / command[0]), *command[1:]],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def call(self, *command: str, code: int = 0) -> str:
        """Run a program and return everything it prints."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == code, output
        return output

    def change(self, old: str, new: str) -> None:
        """Replace a line of params.yaml."""
        path = self.folder / "params.yaml"
        text = path.read_text(encoding="utf-8")
        assert text.count(f"\n{old}") == 1
        path.write_text(text.replace(f"\n{old}", f"\n{new}"), encoding="utf-8")

    def ran(self) -> list[str]:
        """The stages whose command ran since the last call, sorted."""
        log = self.folder / "ran.log"
        stages = log.read_text(encoding="utf-8").split() if log.exists() else []
        log.unlink(missing_ok=True)
        return sorted(stages)

    def assert_nothing_to_do(self) -> None:
        assert "Nothing to be done" in self.call("snakemake", "-n")
        assert "up to date" in self.call("dvc", "status")

    def _git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@localhost"]
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_both_tools_agree_after_either_has_run(checkout: Checkout) -> None:
    checkout.call("snakemake")
    assert checkout.ran() == ["first", "infer@0", "infer@1", "score"]
    checkout.assert_nothing_to_do()

    checkout.change("  parts: 6", "  parts: 7")
    checkout.call("dvc", "repro")
    assert checkout.ran() == ["infer@0", "infer@1", "score"]
    checkout.assert_nothing_to_do()

    checkout.change("seed: 1", "seed: 2")  # makes `first` stale without changing its output
    checkout.call("snakemake", "--cores", "1")
    assert checkout.ran() == ["first"]
    checkout.assert_nothing_to_do()

    checkout.change("  parts: 7", "  parts: 6")
    checkout.call("snakemake")
    assert checkout.ran() == [], "everything is restored from DVC's cache"
    assert (checkout.folder / "reports/score.txt").read_text(encoding="utf-8") == "6\n6\n"
    checkout.assert_nothing_to_do()

    checkout.change("  context_frames: 4", "  context_frames: 5")  # read by no stage here
    checkout.assert_nothing_to_do()


def test_snakemake_accepts_a_stage_that_dvc_added_and_reproduced(checkout: Checkout) -> None:
    checkout.call("snakemake")
    with (checkout.folder / "dvc.yaml").open("a", encoding="utf-8") as file:
        file.write("  last:\n    cmd: cp reports/score.txt results/last.txt\n")
        file.write("    deps: [reports/score.txt]\n    outs: [results/last.txt]\n")
    assert "last" in checkout.call("snakemake", "-n")
    checkout.call("dvc", "repro")
    checkout.assert_nothing_to_do()


def test_a_deleted_output_is_restored(checkout: Checkout) -> None:
    checkout.call("snakemake")
    checkout.ran()
    (checkout.folder / "results/1.txt").unlink()
    checkout.call("snakemake")
    assert checkout.ran() == []
    assert (checkout.folder / "results/1.txt").exists()
    checkout.assert_nothing_to_do()


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("  lost_score:", "  lost_scare:", "segmentation.lost_scare: unknown key"),
        ("  shards: [0, 1]", f"  shards: {list(range(9))}", "infer.shards: 9 shards for 8 validation sequences"),
        ("seed: 1", "seed: [1", "not valid YAML at line"),
    ],
)
def test_the_last_line_names_the_invalid_parameter(checkout: Checkout, old: str, new: str, line: str) -> None:
    checkout.change(old, new)
    for command in (("snakemake",), ("snakemake", "-n")):
        last = checkout.call(*command, code=1).splitlines()[-1]
        assert last.startswith("params.yaml: ")
        assert line in last
    assert checkout.ran() == []


def test_the_last_line_is_the_error_of_the_failed_stage(checkout: Checkout) -> None:
    failing = "mkdir -p .snakemake/failures; echo coco is broken | tee .snakemake/failures/first; exit 2"
    dvc_yaml = checkout.folder / "dvc.yaml"
    dvc_yaml.write_text(STAGES.replace("cp seed.txt data/first.txt", f"({failing})"), encoding="utf-8")
    assert checkout.call("snakemake", code=1).splitlines()[-1] == "coco is broken"
    dvc_yaml.write_text(STAGES, encoding="utf-8")
    assert "coco is broken" not in checkout.call("snakemake")


def test_a_dry_run_meanwhile_is_one_line_and_a_killed_run_can_be_restarted(checkout: Checkout) -> None:
    slow = checkout.folder / "slow"
    slow.touch()
    running = checkout.start("snakemake", "--cores", "2")
    log = checkout.folder / "ran.log"
    deadline = time.monotonic() + 60
    while not (log.exists() and "infer" in log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)
    try:
        output = checkout.call("snakemake", "-n", code=1)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
    messages = [line for line in output.splitlines() if "profile" not in line]
    assert len(messages) == 1
    assert messages[0].startswith("the pipeline is running, PID ")
    slow.unlink()
    deadline = time.monotonic() + 30
    while checkout.start("snakemake", "--unlock").wait() != 0:  # a killed process may hold DVC's lock a moment longer
        assert time.monotonic() < deadline
        time.sleep(0.2)
    checkout.ran()
    checkout.call("snakemake")
    assert checkout.ran() == ["infer@0", "infer@1", "score"]
    checkout.assert_nothing_to_do()
