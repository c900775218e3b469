"""Measured files that the report cannot use are one line."""

from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.report.inputs import read_measurements


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"metrics\.json: cannot be read"),
        ('{"preset": "mini"}', r"metrics\.json: lacks dataset, ours, baselines"),
    ],
)
def test_unusable_metrics_name_the_file(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "metrics.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=message):
        read_measurements(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe\x00", "cannot be read"), (b"method,sequence\n", "lacks the column frame, J, F")],
)
def test_unusable_tables_name_the_file(tmp_path: Path, content: bytes, message: str) -> None:
    metrics = '{"preset": "", "dataset": "", "ours": {}, "baselines": {}, "parameters": []}'
    (tmp_path / "metrics.json").write_text(metrics, encoding="utf-8")
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/j_over_time.csv").write_bytes(content)
    with pytest.raises(UserError, match=rf"j_over_time\.csv: {message}"):
        read_measurements(tmp_path)
