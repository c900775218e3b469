"""YAML files that hold a mapping, with one-line errors."""

from pathlib import Path
from typing import Any

import yaml

from partprop.base.errors import UserError


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        UserError: the file is missing, unreadable, not YAML or not a mapping, or a key appears twice.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; start from one of presets/, e.g. cp presets/mini.yaml {path}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); fix this") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not valid UTF-8; re-save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "unreadable"
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{path}: not valid YAML{place} ({problem}); fix it there") from None
    except ValueError as error:  # an impossible date, for example
        raise UserError(f"{path}: contains a value that YAML cannot parse ({error}); fix it") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must be a mapping of keys to values; restore it with `git checkout {path}`")
    return content


class _Loader(yaml.SafeLoader):
    """Rejects duplicate keys, as DVC does; PyYAML alone would take the last."""

    MERGE = "tag:yaml.org,2002:merge"  # of <<, the only key that may appear twice

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        nodes = [key for key, _ in node.value if key.tag != self.MERGE]
        keys = [self.construct_object(key, deep=True) for key in nodes]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.MarkedYAMLError(problem=f"key {key} appears twice", problem_mark=nodes[index].start_mark)
        return super().construct_mapping(node, deep)
