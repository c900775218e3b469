"""Documents stay short, and their links and anchors exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "data" / "README.md",
    ROOT / "models" / "LICENSE.md",
    ROOT / "src" / "partprop" / "weights" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LIMITS = {"README.md": 120} | {f"docs/{path.name}": 200 for path in (ROOT / "docs").glob("*.md")}
UNLIMITED = {"docs/method.md"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a Markdown text."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=relative)
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", sorted(set(LIMITS) - UNLIMITED))
def test_documents_stay_short(name: str) -> None:
    assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= LIMITS[name]


def test_the_readme_names_no_commits() -> None:
    words = re.findall(r"\b[0-9a-f]{7}\b", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert [word for word in words if not word.isdecimal() and not word.isalpha()] == []


def test_the_readme_shows_a_command_within_forty_lines() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert any("partprop segment" in line and "--mask" in line for line in lines[:40])


def test_the_picture_of_real_frames_is_small() -> None:
    assert (ROOT / "docs" / "images" / "clip.jpg").stat().st_size <= 500_000
