"""The contents of the page: which sequences and rows it shows."""

from partprop.report.page import flatten, sequence_rows, shown_sequences


def block(scores: dict[str, float]) -> dict:
    sequences = {name: {"J&F": score, "J": score, "F": score} for name, score in scores.items()}
    return {"J&F": sum(scores.values()) / len(scores), "sequences": sequences}


def test_each_sequence_is_shown_once() -> None:
    assert shown_sequences({"ours": block({"a": 0.5})}) == [("best", "a")]
    assert shown_sequences({"ours": block({"a": 0.5, "b": 0.9})}) == [("best", "b"), ("worst", "a")]
    five = {"a": 0.1, "b": 0.5, "c": 0.9, "d": 0.3, "e": 0.7}
    named, others = [("best", "c"), ("median", "b"), ("worst", "a")], [("", "d"), ("", "e")]
    assert shown_sequences({"ours": block(five)}) == named + others


def test_the_margin_is_the_difference_from_the_best_baseline_of_the_row() -> None:
    metrics = {
        "ours": block({"a": 0.5, "b": 0.9}),
        "baselines": {"first_mask": block({"a": 0.6, "b": 0.2}), "flow": block({"a": 0.1, "b": 0.8})},
    }
    rows = {row.sequence: row for row in sequence_rows(metrics)}
    assert (rows["a"].best, round(rows["a"].margin, 6)) == ("first_mask", -0.1)
    assert (rows["b"].best, round(rows["b"].margin, 6)) == ("ours", 0.1)


def test_flatten_joins_names_and_leaves_out_lists() -> None:
    assert flatten({"box": {"AP": 0.3, "per_class": [1, 2]}, "steps_done": 5}) == {"box AP": 0.3, "steps done": 5}
