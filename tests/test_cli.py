"""Commands, help texts, exit codes, and the script that starts the stages of dvc.yaml."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from partprop import cli
from partprop.base.errors import DiskFullError, UserError

ROOT = Path(__file__).resolve().parents[1]


def run(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "partprop", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def test_check_lists_what_it_checked(mini_params: Path) -> None:
    done = run("check", folder=mini_params.parent)
    assert done.returncode == 0, done.stderr
    for found in ("preset mini, 2 shards", "data.coco.source: synthetic", "environment: ", "disk: "):
        assert found in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("seed: 1\n\n", "sed: 1\n\n", "params.yaml: seed: missing"),
        ("shards: [0, 1]", f"shards: {list(range(9))}", "params.yaml: infer.shards: 9 shards for 8"),
        ("source: synthetic # ", "source: not/there # ", "not/there: no such folder"),
        ("source: synthetic # ", "source: empty # ", "empty: holds no COCO"),
        ("weights: imagenet #", "weights: ~/not/there.pth #", "backbone.weights: ~/not/there.pth: no such file"),
    ],
)
def test_check_reports_an_error_on_one_line(mini_params: Path, old: str, new: str, line: str) -> None:
    (mini_params.parent / "empty").mkdir()
    mini_params.write_text(mini_params.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = run("check", folder=mini_params.parent)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert line in done.stderr


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("params.yaml: a\nb"), 2, "params.yaml: a b\n"),
        (OSError(errno.ENOSPC, "No space left on device", "out/0.png"), 2, "out/0.png: the disk is full; "),
        (DiskFullError.of("out/0.png"), 2, "out/0.png: the disk is full; "),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_user_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, line: str
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("partprop.pipeline.runner.run_stage", fail)
    monkeypatch.setattr(cli, "keep_freed_pages", lambda: None)  # it would change the test process
    monkeypatch.setattr(sys, "argv", ["partprop", "stage", "infer"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == code
    printed = capsys.readouterr()
    assert printed.err.startswith(line)
    assert printed.err.count("\n") <= 1


def test_one_file_for_two_tables_is_an_error(tmp_path: Path) -> None:
    done = run("evaluate", "masks", "masks", "--json", "a.json", "--csv", "./a.json", folder=tmp_path)
    assert (done.returncode, done.stderr) == (2, "--json, --csv: both are a.json; name two files\n")


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a")

    monkeypatch.setattr("partprop.pipeline.runner.run_stage", fail)
    monkeypatch.setattr(cli, "keep_freed_pages", lambda: None)  # it would change the test process
    monkeypatch.setattr(sys, "argv", ["partprop", "stage", "infer"])
    with pytest.raises(PermissionError):
        cli.main()


FOUND_BY = ["VIRTUAL_ENV", "DVC_ROOT", "working directory", "CONDA_PREFIX", "PATH"]


@pytest.mark.parametrize("found_by", [*FOUND_BY, "working directory, another project's activated"])
def test_the_stage_script_finds_an_environment_and_runs_this_folders_code(tmp_path: Path, found_by: str) -> None:
    """As under `dvc exp run --temp`, where the installed package is that of another checkout."""
    snapshot, programs = tmp_path / "snapshot", tmp_path / "env/bin"
    (snapshot / "src/partprop").mkdir(parents=True)
    (snapshot / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/stage", snapshot / "scripts/stage")
    shutil.copy(ROOT / "src/partprop/__main__.py", snapshot / "src/partprop")
    (snapshot / "src/partprop/__init__.py").touch()
    (snapshot / "src/partprop/cli.py").write_text(
        "import sys\ndef main(): print('snapshot', sys.argv[1:], [m for m in ('cli', 'params') if m in sys.modules])\n",
        encoding="utf-8",
    )
    environment = {"PATH": "/usr/bin:/bin"}
    if found_by == "DVC_ROOT":
        programs = tmp_path / "main/.venv/bin"
        environment["DVC_ROOT"] = str(tmp_path / "main")
    elif found_by.startswith("working directory"):
        programs = snapshot / ".venv/bin"
        if "another" in found_by:
            (tmp_path / "other/bin").mkdir(parents=True)
            shutil.copy("/bin/false", tmp_path / "other/bin/python")
            environment["VIRTUAL_ENV"] = str(tmp_path / "other")
    elif found_by == "PATH":
        environment["PATH"] = f"{programs}:/usr/bin:/bin"
    else:
        environment[found_by] = str(programs.parent)
    programs.mkdir(parents=True)
    name = "python3" if found_by == "PATH" else "python"
    (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    os.chmod(programs / name, 0o755)
    shutil.copy(programs / name, programs / "partprop")
    done = subprocess.run(
        ["scripts/stage", "infer", "--shard", "1"], cwd=snapshot, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "snapshot ['stage', 'infer', '--shard', '1'] []\n", done.stderr


COMMANDS = ["stage", "check", "segment", "demo", "evaluate", "compare", "benchmark"]


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_help_shows_no_python_types(tmp_path: Path, command: str | None) -> None:
    text = help_of(tmp_path, *[command] * (command is not None))
    assert not [name for name in ("<list[", "list[str]", "<bool>", "<int", "<float", "None") if name in text]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_of_the_command(tmp_path: Path, command: str) -> None:
    lines = help_of(tmp_path, command).split("Examples:\n")[1].splitlines()
    assert lines
    assert all(line.strip().split()[:2] == ["partprop", command] for line in lines)


def test_every_command_is_listed_with_its_whole_summary(tmp_path: Path) -> None:
    lines = help_of(tmp_path).split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == COMMANDS
    assert all(line.endswith(".") and not line.endswith("..") for line in lines)


def help_of(folder: Path, *command: str) -> str:
    done = run(*command, "--help", folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_loads_no_heavy_library() -> None:
    code = "import sys, partprop.cli; print([m for m in ('numpy', 'pydantic', 'mlflow', 'dvc') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_demo_names_its_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "tune", lambda: None)  # it would re-exec the test run
    monkeypatch.setitem(sys.modules, "gradio", None)  # as if it were not installed
    monkeypatch.delitem(sys.modules, "partprop.demo.page", raising=False)
    with pytest.raises(UserError, match=r"needs Gradio; install it: pip install 'partprop\[demo\]'"):
        cli.demo()
