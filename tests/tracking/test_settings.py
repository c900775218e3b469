"""Settings of the online loop, and what several objects share."""

import pytest

from partprop.tracking.settings import Budget, Settings

SETTINGS = Settings(short_side=96, parts=6, lost_score=0.4, memory_every=5)


def test_a_single_object_has_the_whole_budget() -> None:
    assert Budget.share(SETTINGS, 1) == Budget(parts=6, radius=None, history=2)


@pytest.mark.parametrize(("objects", "parts"), [(2, 3), (3, 2), (7, 2)])
def test_several_objects_share_the_parts_and_search_a_smaller_radius(objects: int, parts: int) -> None:
    assert Budget.share(SETTINGS, objects) == Budget(parts, radius=6, history=0)


@pytest.mark.parametrize("parts", [0, 1])
def test_nobody_has_more_parts_than_the_settings_allow(parts: int) -> None:
    settings = Settings(short_side=96, parts=parts, lost_score=0.4, memory_every=5)
    assert [Budget.share(settings, objects).parts for objects in (1, 2)] == [parts, parts]
