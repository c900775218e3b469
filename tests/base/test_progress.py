"""Progress bars write to terminals only."""

import pytest

from partprop.base.progress import byte_bar, count_bar


@pytest.mark.parametrize("total", [None, 10])
def test_bars_are_hidden_without_a_terminal(capsys: pytest.CaptureFixture[str], total: int | None) -> None:
    with byte_bar("downloading", total, done=3) as add_bytes, count_bar("segmenting", total) as add_frames:
        add_bytes(5)
        add_frames(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("bar", "shown"), [(byte_bar, "7/10 bytes"), (count_bar, "7/10")])
def test_bars_show_amounts_on_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys, bar, shown: str) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with bar("working", 10) as advance:
        advance(7)
    assert shown in capsys.readouterr().err
