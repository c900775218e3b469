"""The package's layout: imports go one way, and the first look at the package shows the architecture."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from loaded_modules import imported_modules

PACKAGE = Path(__file__).resolve().parents[1] / "src/partprop"
# A package imports only those after it.
ORDER = [
    *("__main__", "cli", "stages", "pipeline"),
    *("demo", "segment", "report", "training", "evaluation", "baselines", "pretrained"),
    *("tracking", "metrics", "media", "download", "synthetic"),
    *("model", "data", "params", "process", "base"),
]
ABOVE_PARAMETERS = {"cli", "stages", "pipeline"}  # see params and pipeline; no other package does
LONGEST = 350  # lines of a file
DOORSTEP = 6  # modules directly in the package


def modules() -> dict[str, Path]:
    files = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    return {".".join(("partprop", *parts)).removesuffix(".__init__"): path for path, parts in files.items()}


def graph() -> dict[str, set[str]]:
    """The modules that each module imports anywhere but for type checking; the package's own door left out."""
    known = modules()
    found = {
        name: {other for other in imported_modules(ast.parse(path.read_text(encoding="utf-8"))) if other in known}
        - {name}
        for name, path in known.items()
        if name != "partprop"
    }
    return {name: others - {"partprop"} for name, others in found.items()}


def folder(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("above", ORDER)
def test_imports_go_one_way(above: str) -> None:
    below = set(ORDER[ORDER.index(above) + 1 :])
    wrong = {
        f"{name} imports {other}"
        for name, others in graph().items()
        for other in others
        if folder(name) == above != folder(other) and folder(other) not in below
    }
    assert not wrong


def test_every_package_has_its_place() -> None:
    assert {folder(name) for name in graph()} == set(ORDER)


def test_no_import_circle() -> None:
    TopologicalSorter(graph()).prepare()


@pytest.mark.parametrize("hidden", ["params", "pipeline"])
def test_parameters_are_seen_by_stages_and_pipeline_alone(hidden: str) -> None:
    seen_by = {folder(name) for name, others in graph().items() if hidden in map(folder, others)}
    assert seen_by - {hidden} <= ABOVE_PARAMETERS


def test_files_are_short() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_the_doorstep_is_small() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= DOORSTEP
