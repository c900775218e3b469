"""Which frames a request selects, and which prompts belong to them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from partprop.base.errors import UserError
from partprop.segment.prompts import Prompt
from partprop.segment.request import Request

REQUEST = Request(Path("clip.mp4"), Path("out"), [Prompt(None, mask=Path("first.png"))])


def frames(count: int, stated: int | None = -1) -> SimpleNamespace:
    """An input of `count` frames that states its length, or `stated`."""

    class Input(SimpleNamespace):
        def __iter__(self):
            return iter([SimpleNamespace(number=number) for number in range(count)])

    return Input(count=count if stated == -1 else stated)


@pytest.mark.parametrize(
    ("changes", "selected"),
    [
        ({}, list(range(9))),
        ({"start": 2, "end": 7, "every": 2}, [2, 4, 6]),
        ({"start": 2, "every": 3}, [2, 5, 8]),
        ({"end": 20}, list(range(9))),
        ({"start": 9}, []),
    ],
)
def test_selected_frames_and_their_expected_count(changes: dict[str, int], selected: list[int]) -> None:
    request = replace(REQUEST, **changes)
    assert [frame.number for frame in request.selected(frames(9))] == selected
    assert request.expected_count(frames(9)) == len(selected)
    assert request.expected_count(frames(9, stated=None)) is None


def test_prompts_without_a_frame_belong_to_the_first_selected_frame() -> None:
    first, late = Prompt(None, box=(1, 1, 9, 9)), Prompt(6, box=(1, 1, 9, 9))
    request = replace(REQUEST, prompts=[first, late], start=4, every=2)
    assert request.prompts_by_frame() == {4: [first], 6: [late]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompts": []}, "--mask, --box: neither is given; "),
        ({"start": 5, "end": 5}, "--end 5: must be greater than --start 5; "),
        ({"prompts": [Prompt(3, box=(1, 1, 9, 9))], "every": 2}, "frame 3 is not segmented; "),
        ({"prompts": [Prompt(1, box=(1, 1, 9, 9))], "start": 2}, "frame 1 is not segmented; "),
        ({"prompts": [Prompt(9, box=(1, 1, 9, 9))], "end": 5}, "frame 9 is not segmented; "),
    ],
)
def test_prompts_of_frames_that_are_not_selected_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        replace(REQUEST, **changes).prompts_by_frame()
