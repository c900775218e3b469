"""Print which `partprop` modules a module loads, including those that it imports only when a function runs.

Run it as a script, so that nothing else is loaded: python tests/loaded_modules.py partprop.stages.evaluate
It prints JSON: "files", by module name, and "eager", all modules loaded by the import itself.
"""

import ast
import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"


def load_all(name: str) -> dict[str, Path]:
    """The files of all `partprop` modules that a module needs, by module name."""
    import_module(name)
    files: dict[str, Path] = {}
    while waiting := [module for module in _loaded() if module not in files]:
        for module in waiting:
            files[module] = Path(str(sys.modules[module].__file__))
            if module == "partprop":  # its lazy import of Segmenter is for users; no stage uses it
                continue
            for imported in imported_modules(ast.parse(files[module].read_text(encoding="utf-8"))):
                import_module(imported)
    return files


def _loaded() -> list[str]:
    return [name for name in sys.modules if name.split(".")[0] == "partprop"]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """The `partprop` modules that code imports, except for type checking."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("partprop"))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("partprop"):
            yield str(node.module)
            submodules = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name for name in submodules if _is_module(name))
        yield from imported_modules(node)


def _is_module(name: str) -> bool:
    path = SOURCE.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


if __name__ == "__main__":
    eager = import_module(sys.argv[1]) and sorted(sys.modules)
    files = load_all(sys.argv[1])
    print(json.dumps({"files": {name: str(path) for name, path in files.items()}, "eager": eager}))
