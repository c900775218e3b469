"""Windows stay within their grid and hold what they are asked to."""

from hypothesis import given
from hypothesis import strategies as st

from partprop.model.windows import Window, evened, grown, within

GRID = (20, 36)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A window of at least one cell of GRID."""
    starts = [draw(st.integers(0, size - 1)) for size in GRID]
    stops = [draw(st.integers(start + 1, size)) for start, size in zip(starts, GRID, strict=True)]
    rows, columns = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return rows, columns


@given(window=windows(), step=st.integers(1, 7))
def test_evened_windows_hold_the_window_and_have_few_sizes(window: Window, step: int) -> None:
    for part, even, size in zip(window, evened(window, step, GRID), GRID, strict=True):
        length = even.stop - even.start
        assert 0 <= even.start <= part.start
        assert part.stop <= even.stop <= size
        assert length == size or length % step == 0
        assert length - (part.stop - part.start) < step


@given(window=windows(), cells=st.integers(0, 9))
def test_a_window_lies_in_what_it_grows_to(window: Window, cells: int) -> None:
    larger = grown(window, cells, GRID)
    for part, holder, inner in zip(window, larger, within(window, larger), strict=True):
        assert holder.start + inner.start == part.start
        assert holder.start + inner.stop == part.stop
        assert inner.start <= cells
        assert holder.stop - part.stop <= cells
