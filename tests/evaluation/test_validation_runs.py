"""The table of runs on the validation sequences: when a row is appended, and that no row is lost."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.evaluation.davis_val import DAVIS_VAL
from partprop.evaluation.validation_runs import COLUMNS, TABLE, ValidationRun, record_run

RUN = ValidationRun("cpu", 1, 2, 0.81, 0.8, 0.82, 0.75, 0.86, "partprop stage evaluate")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "dvc.yaml").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    return tmp_path


def rows() -> list[dict[str, str]]:
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("year", [2016, 2017])
def test_a_run_on_the_validation_split_appends_a_row(checkout: Path, year: int) -> None:
    for _ in range(2):
        assert record_run(RUN, "official", year, sorted(DAVIS_VAL[year]))
    first, second = rows()
    assert tuple(first) == COLUMNS
    assert first == second
    assert [first[name] for name in ("preset", "seed", "J&F", "J", "F", "low", "high", "command")] == [
        *("cpu", "1", "0.8100", "0.8000", "0.8200", "0.7500", "0.8600", "partprop stage evaluate")
    ]
    assert first["machine"].endswith(", 2 threads")
    assert first["commit"] == ""  # not a Git repository


def test_the_commit_of_modified_code_has_a_plus(checkout: Path) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "dvc.yaml"], ["commit", "-qm", "First"]):
        subprocess.run([*git, *command], check=True)
    record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    (checkout / "dvc.yaml").write_text("stages: {}\n")
    record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    clean, modified = (row["commit"] for row in rows())
    assert len(clean) == 7
    assert modified == f"{clean}+"


@pytest.mark.parametrize(
    ("source", "year", "sequences"),
    [
        ("synthetic", 2016, DAVIS_VAL[2016]),
        ("../davis", 2016, DAVIS_VAL[2016] - {"camel"}),
        ("../davis", 2016, DAVIS_VAL[2017]),
        ("../davis", 2017, DAVIS_VAL[2016]),
    ],
)
def test_other_videos_are_not_recorded(checkout: Path, source: str, year: int, sequences: frozenset[str]) -> None:
    assert not record_run(RUN, source, year, sequences)
    assert not (checkout / "reports").exists()


@pytest.mark.parametrize(("variable", "value"), [("CI", "true"), ("DVC_ROOT", "/elsewhere")])
def test_continuous_integration_and_temporary_experiments_are_not_recorded(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert not record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    assert not TABLE.exists()


def test_a_stage_that_dvc_runs_in_the_main_checkout_is_recorded(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(checkout))
    assert record_run(RUN, "official", 2016, DAVIS_VAL[2016])


def test_outside_a_checkout_nothing_is_recorded(checkout: Path) -> None:
    (checkout / "dvc.yaml").unlink()
    assert not record_run(RUN, "official", 2016, DAVIS_VAL[2016])


def test_processes_that_record_side_by_side_lose_no_row(checkout: Path) -> None:
    code = (
        "from partprop.evaluation.davis_val import DAVIS_VAL\n"
        "from partprop.evaluation.validation_runs import ValidationRun, record_run\n"
        f"for _ in range(20): record_run({RUN!r}, 'official', 2016, DAVIS_VAL[2016])"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [process.wait() for process in processes] == [0, 0]
    assert len(rows()) == 40


def test_rows_before_are_kept_byte_for_byte(checkout: Path) -> None:
    before = ",".join(COLUMNS) + '\n2026-01-02,0123456,cpu,1,"Xeon, 2 threads",0.8,0.8,0.8,,,by hand'  # no newline
    TABLE.parent.mkdir()
    TABLE.write_text(before)
    record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    assert TABLE.read_text().startswith(before + "\n")
    assert len(rows()) == 2


def test_a_damaged_header_is_one_line_and_nothing_is_written(checkout: Path) -> None:
    TABLE.parent.mkdir()
    TABLE.write_text("date,commit\n")
    with pytest.raises(UserError, match=r"validation_runs\.csv: the first line is not date,.*git checkout") as error:
        record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    assert "\n" not in str(error.value)
    assert TABLE.read_text() == "date,commit\n"


def test_an_unreadable_table_is_one_line_and_stays(checkout: Path) -> None:
    TABLE.parent.mkdir()
    TABLE.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"validation_runs\.csv: cannot be read .*git checkout"):
        record_run(RUN, "official", 2016, DAVIS_VAL[2016])
    assert TABLE.read_bytes() == b"\xff\xfe"


def test_without_proc_the_machine_is_named_by_python(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def unreadable_proc(path: Path, encoding: str | None = None) -> str:
        if str(path).startswith("/proc"):
            raise FileNotFoundError(path)
        return read_text(path, encoding=encoding)

    monkeypatch.setattr(Path, "read_text", unreadable_proc)
    monkeypatch.setattr("platform.processor", lambda: "arm")
    assert record_run(RUN, "official", 2016, sorted(DAVIS_VAL[2016]))
    assert rows()[0]["machine"].startswith("arm")
