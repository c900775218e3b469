"""The layout of the package: imports go one way, files are short, few modules are at the top."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from loaded_modules import imported_modules

PACKAGE = Path(__file__).resolve().parents[1] / "src/partprop"
# Each imports only those after it.
ORDER = [
    *("__main__", "cli", "stages", "pipeline"),
    *("demo", "segment", "report", "training", "evaluation", "baselines", "pretrained"),
    *("tracking", "metrics", "media", "download", "synthetic"),
    *("model", "data", "params", "process", "base"),
]
ABOVE_PARAMETERS = {"cli", "stages", "pipeline"}  # the only ones that import params and pipeline
LONGEST = 350  # lines of a file, at most
TOP_MODULES = 6  # modules directly in src/partprop, at most


def modules() -> dict[str, Path]:
    files = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in PACKAGE.rglob("*.py")}
    return {".".join(("partprop", *parts)).removesuffix(".__init__"): path for path, parts in files.items()}


@cache
def graph() -> dict[str, set[str]]:
    """The modules that each module imports, except for type checking; without partprop/__init__.py."""
    known = modules()
    found = {
        name: {other for other in imported_modules(ast.parse(path.read_text(encoding="utf-8"))) if other in known}
        - {name}
        for name, path in known.items()
        if name != "partprop"
    }
    return {name: others - {"partprop"} for name, others in found.items()}


def folder(module: str) -> str:
    """The folder or top module of a module: `model` of partprop.model.boxes."""
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


def test_every_folder_is_in_the_order() -> None:
    assert {folder(name) for name in graph()} == set(ORDER)


def test_there_is_no_import_cycle() -> None:
    TopologicalSorter(graph()).prepare()


@pytest.mark.parametrize("hidden", ["params", "pipeline"])
def test_only_stages_pipeline_and_cli_import_parameters(hidden: str) -> None:
    importers = {folder(name) for name, others in graph().items() if hidden in map(folder, others)}
    assert importers - {hidden} <= ABOVE_PARAMETERS


def test_files_are_short() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_few_modules_are_at_the_top() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= TOP_MODULES
