"""Every invalid params.yaml is reported on one line that names the key."""

import re
from pathlib import Path

import pytest

from partprop.base.errors import UserError
from partprop.params import load_params
from partprop.pipeline.splits import require_sequences, sequence_names, val_sequences
from partprop.synthetic.write import video_scripts

ROOT = Path(__file__).resolve().parents[1]


def edit(path: Path, old: str, new: str) -> None:
    """Replace the only match of a regular expression."""
    text, count = re.subn(old, new, path.read_text(encoding="utf-8"))
    assert count == 1, f"{old!r} must occur once"
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("preset", sorted((ROOT / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_are_valid(preset: Path) -> None:
    params = load_params(preset)
    require_sequences(params)
    assert params.preset == preset.stem


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        (r"(short_side: \d+ # )", r"shorter_side: 1\n  \1", "segmentation.shorter_side: unknown key"),
        (r"short_side: \d+ # ", "# ", "segmentation.short_side: missing"),
        (r"(static:\n    source: )synthetic", r"\1official", "data.static.source: no official host exists"),
        (r"(davis:\n    source: )synthetic", r"\1none", "data.davis.source: only the static images may be none"),
        (r"max_gap: \d+", "max_gap: wide", "train_tracking.max_gap: "),
        (r"max_gap: \d+", "max_gap: -160", "train_tracking.max_gap: "),
        (r"max_gap: \d+", "max_gap: 160.5", "train_tracking.max_gap: "),
        (r"max_gap: \d+", "max_gap: true", "train_tracking.max_gap: "),
        (r"temperature: .*", "temperature: .inf", "baselines.temperature: "),
        (r"(held_out_categories: .*\n  steps: )\d+", r"\g<1>0", "train_tracking.steps: "),
        (r"width: \d+", "width: -1", "data.synthetic.width: "),
        (r"\n  lost_score: .*", "\n  lost_score: 1.5", "segmentation.lost_score: "),
        (
            r"(validate_settings: .*)lost_score: 0.4",
            r"\1lost_score: 2.0",
            "train_tracking.validate_settings.lost_score: ",
        ),
        ("year: 2016", "year: 2015", "data.davis.year: "),
        (r"shards: \[.*\]", "shards: []", "infer.shards: "),
        (r"shards: \[.*\]", "shards: 2", "infer.shards: "),
        (r"shards: \[.*\]", "shards: [0, 0]", "infer: shards "),
        (r"(held_out_categories: .*\n  steps: )\d+", r"\1null", "train_tracking.steps: "),
    ],
)
def test_an_invalid_value_is_one_line_with_its_key(mini_params: Path, old: str, new: str, named: str) -> None:
    edit(mini_params, old, new)
    with pytest.raises(UserError) as caught:
        load_params(mini_params)
    message = str(caught.value)
    assert message.startswith(f"{mini_params}: {named}")
    assert "\n" not in message


def test_all_invalid_keys_are_named_at_once(mini_params: Path) -> None:
    edit(mini_params, r"max_gap: \d+", "max_gap: -1")
    edit(mini_params, "seed: 1\n\n", "sed: 1\n\n")
    with pytest.raises(UserError) as caught:
        load_params(mini_params)
    assert all(key in str(caught.value) for key in ("train_tracking.max_gap: ", " seed: missing", " sed: unknown key"))


@pytest.mark.parametrize(
    "text", ["a: [1", "\tseed: 1", "- 1\n- 2\n", "", "just words", "a: b: c", "\x00", "seed: 2026-13-45"]
)
def test_a_file_that_is_not_a_yaml_mapping_is_one_line(mini_params: Path, text: str) -> None:
    mini_params.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=r"params\.yaml: ") as caught:
        load_params(mini_params)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["seed: 1\n", "infer: {shards: 1, shards: 2}\n"])
def test_a_duplicate_key_is_named(mini_params: Path, line: str) -> None:
    """DVC rejects it; PyYAML would take the last value."""
    with mini_params.open("a", encoding="utf-8") as file:
        file.write(line)
    with pytest.raises(
        UserError,
        match=r"params\.yaml: not valid YAML at line \d+, column \d+ \(key (shards|seed|infer) appears twice\)",
    ):
        load_params(mini_params)


def test_a_seed_too_large_for_the_generators_is_an_error(mini_params: Path) -> None:
    edit(mini_params, r"(?m)^seed: \d+", "seed: 11111111111111111111111")
    with pytest.raises(UserError, match=r"params\.yaml: seed: .*less than 17592186044416"):
        load_params(mini_params)


def test_a_missing_file_suggests_a_preset(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file; start from one of presets/"):
        load_params(tmp_path / "params.yaml")


def test_more_shards_than_sequences_are_an_error(mini_params: Path) -> None:
    edit(mini_params, r"shards: \[.*\]", "shards: [0, 1, 2, 3, 4, 5, 6, 7]")
    require_sequences(load_params(mini_params))
    edit(mini_params, r"val_videos: \d+", "val_videos: 7")
    with pytest.raises(UserError, match=r"infer\.shards: 8 shards for 7 validation sequences"):
        require_sequences(load_params(mini_params))


def test_holding_out_all_sequences_is_an_error(mini_params: Path) -> None:
    edit(mini_params, r"train_videos: \d+", "train_videos: 6")
    with pytest.raises(UserError, match=r"held_out: all training sequences"):
        require_sequences(load_params(mini_params))


@pytest.mark.parametrize("split", ["train", "val"])
def test_synthetic_sequences_have_the_generators_names(mini_params: Path, split: str) -> None:
    params = load_params(mini_params)
    assert sequence_names(params, split) == [name for name, _ in video_scripts(params.data.synthetic, split)]


@pytest.mark.parametrize("level", ["", "downloads/DAVIS"])
def test_the_sequences_of_a_folder_are_read_from_its_split_files(mini_params: Path, tmp_path: Path, level: str) -> None:
    root = tmp_path / "videos" / level
    for split, names in (("train", ["bear", "boat"]), ("val", ["camel"])):
        file = root / f"ImageSets/2016/{split}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(names), encoding="utf-8")
        for name in names:
            (root / "JPEGImages/480p" / name).mkdir(parents=True)
            (root / "JPEGImages/480p" / name / "00000.jpg").touch()
    edit(mini_params, "    source: synthetic\n    year", "    source: videos\n    year")
    assert val_sequences(load_params(mini_params)) == 1
    with pytest.raises(UserError, match=r"infer\.shards: 2 shards for 1"):
        require_sequences(load_params(mini_params))
    edit(mini_params, r"shards: \[.*\]", "shards: [0]")
    with pytest.raises(UserError, match=r"held_out: .*train-00.* not in the training split, which has bear, boat"):
        require_sequences(load_params(mini_params))
    edit(mini_params, r"held_out: \[.*\] #", "held_out: [boat] #")
    require_sequences(load_params(mini_params))
    (root / "ImageSets/2016/val.txt").unlink()
    assert val_sequences(load_params(mini_params)) is None
