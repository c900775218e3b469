"""Tables of documents are generated from files of results, and a changed file of results is noticed."""

import importlib.util
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results_script", ROOT / "scripts" / "results.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one generated table in each document and its file of results."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "ablations.csv").write_text(
        "variant,J&F,J,F,seconds_per_frame\ncomplete,0.7961,0.8,0.79,0.30\n", encoding="utf-8"
    )
    for name in script.DOCUMENTS:
        (tmp_path / name).write_text("# Title\n<!-- ablations -->old<!-- end -->\nText.\n", encoding="utf-8")
    return tmp_path


def test_the_committed_documents_are_up_to_date() -> None:
    if _differs_from_commit("reports/metrics.json"):
        pytest.skip("reports/metrics.json is of another run than the committed one")
    script.main(["--check"])


def test_a_table_is_written_between_its_markers_and_nothing_else_changes(folder: Path) -> None:
    script.main([], folder)
    assert (folder / "docs/results.md").read_text(encoding="utf-8") == (
        "# Title\n<!-- ablations -->\n"
        "| network | J&F | J | F | seconds per frame |\n| --- | --- | --- | --- | --- |\n"
        "| complete | 0.796 | 0.800 | 0.790 | 0.30 |\n"
        "<!-- end -->\nText.\n"
    )


def test_check_changes_nothing_and_fails_until_the_tables_are_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "README.md").read_text(encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        script.main(["--check"], folder)
    assert stopped.value.code == 1
    assert "README.md, docs/results.md: out of date" in capsys.readouterr().err
    assert (folder / "README.md").read_text(encoding="utf-8") == before
    script.main([], folder)
    script.main(["--check"], folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("variant,JF,J,F,seconds_per_frame\ncomplete,1,1,1,1\n", "reports/ablations.csv: no column J&F"),
        ("variant,J&F,J,F,seconds_per_frame\n", "reports/ablations.csv: no rows"),
        (None, "reports/ablations.csv: no such file"),
    ],
)
def test_an_unusable_file_of_results_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], content: str | None, message: str
) -> None:
    file = folder / "reports" / "ablations.csv"
    if content is None:
        file.unlink()
    else:
        file.write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as stopped:
        script.main([], folder)
    printed = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in printed
    assert printed.count("\n") == 1


def test_an_unknown_piece_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "README.md").write_text("<!-- ablation -->\n<!-- end -->", encoding="utf-8")
    with pytest.raises(SystemExit):
        script.main([], folder)
    assert "README.md: marks an unknown piece ablation" in capsys.readouterr().err


def test_ours_is_the_mean_of_the_runs_of_the_recipe_with_their_widest_interval(tmp_path: Path) -> None:
    _write_runs(tmp_path, [(*script.RECIPE[0], 0.8, 0.70, 0.86), (*script.RECIPE[1], 0.9, 0.75, 0.95)])
    benchmarks = tmp_path / "reports" / "benchmarks"
    benchmarks.mkdir()
    for name, text in {
        "speed_davis.csv": "frames_per_second\n3.1\n6.4\n",
        "published.csv": "method,start,J&F,J,F,frames_per_second\nOther,box,0.5,0.4,0.6,55\n",
        "baselines.csv": "baseline,J&F\nfirst mask copied,0.1\n",
        "box_start.csv": "start,J&F\nbox,0.6\n",
    }.items():
        (benchmarks / name).write_text(text, encoding="utf-8")
    lines = script.results(tmp_path).splitlines()
    assert lines[3].split(" | ")[2:] == ["**0.850**", "0.700 to 0.950", "0.850", "0.850", "6.4 |"]
    assert "| Other | box | 0.5 |  | 0.4 | 0.6 | 55 |" in lines


def test_a_recipe_without_its_run_is_named(tmp_path: Path) -> None:
    _write_runs(tmp_path, [(*script.RECIPE[0], 0.8, 0.7, 0.9)])
    with pytest.raises(script.UserError, match=f"no run of preset cpu at {script.RECIPE[1][0]} with seed"):
        script.recipe(tmp_path)


def _write_runs(folder: Path, runs: list[tuple[str, str, float, float, float]]) -> None:
    """A reports/validation_runs.csv of rows of commit, seed, J&F (also J and F) and the ends of its interval."""
    lines = ["date,commit,preset,seed,machine,J&F,J,F,low,high,command"]
    lines += [f"2026-01-01,{c},cpu,{s},a machine,{m},{m},{m},{low},{high},snakemake" for c, s, m, low, high in runs]
    (folder / "reports").mkdir()
    (folder / "reports" / "validation_runs.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _differs_from_commit(file: str) -> bool:
    command = ["git", "diff", "--quiet", "HEAD", "--", file]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode != 0
