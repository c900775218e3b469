"""Comparability with published results."""

import pytest

from partprop.evaluation.davis_val import DAVIS_VAL
from partprop.report.published import PUBLISHED, average_precision_caveat, compare_with_published

VAL = DAVIS_VAL[2016]


def test_only_the_whole_davis_2016_validation_set_is_comparable():
    assert compare_with_published("official", 2016, VAL).comparable
    assert compare_with_published("../davis", 2016, sorted(VAL)).comparable
    assert not compare_with_published("synthetic", 2016, VAL).comparable
    assert not compare_with_published("official", 2017, VAL).comparable
    assert not compare_with_published("official", 2016, VAL - {"camel"}).comparable
    assert not compare_with_published("../mine", 2016, VAL - {"camel"} | {"our-camel"}).comparable


@pytest.mark.parametrize("result", PUBLISHED, ids=lambda result: result.method)
def test_published_j_and_f_is_the_mean_of_j_and_f(result):
    assert result.j_and_f == pytest.approx((result.j + result.f) / 2, abs=0.00051)


@pytest.mark.parametrize("source", ["synthetic", "/some/folder"])
def test_ap_on_other_images_is_marked_as_not_comparable(source):
    assert "not comparable with published AP" in average_precision_caveat(source)
