"""Windows hold what they grew from, and stay within their grid."""

from hypothesis import given
from hypothesis import strategies as st

from partprop.model.windows import Window, grown, within

GRID = (20, 36)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    """A window of at least one cell of GRID."""
    starts = [draw(st.integers(0, size - 1)) for size in GRID]
    stops = [draw(st.integers(start + 1, size)) for start, size in zip(starts, GRID, strict=True)]
    rows, columns = (slice(start, stop) for start, stop in zip(starts, stops, strict=True))
    return rows, columns


@given(window=windows(), cells=st.integers(0, 9))
def test_a_window_lies_in_what_it_grows_to(window: Window, cells: int) -> None:
    larger = grown(window, cells, GRID)
    parts = zip(window, larger, within(window, larger), GRID, strict=True)
    for part, holder, inner, size in parts:
        assert holder.start + inner.start == part.start
        assert holder.start + inner.stop == part.stop
        before, after = inner.start, holder.stop - part.stop
        assert before == cells or before == part.start <= cells
        assert after == cells or after == size - part.stop <= cells
