"""Names that the user types: patterns, and the names nearest to an unknown one."""

import pytest

from gluon_tricks.errors import UserError
from gluon_tricks.program import matching, nearest

NAMES = ["resnet50_v1d", "resnet50_v1d-mixup", "resnet18_v1", "vgg16", "steps, [30, 60]"]


@pytest.mark.parametrize("patterns, expected", [
    ([], NAMES),
    (["vgg16", "resnet18*"], ["resnet18_v1", "vgg16"]),                  # in the order of the names
    (["RESNET*D"], ["resnet50_v1d"]),
    (["resnet??_v1"], ["resnet18_v1"]),
    (["resnet[1-4]*"], ["resnet18_v1"]),
    (["*50*", "*v1d*"], NAMES[:2]),                                      # each once
    (["steps, [30, 60]"], ["steps, [30, 60]"]),                          # a name that looks like a pattern
])
def test_patterns_stand_for_names(patterns, expected):
    assert matching(patterns, NAMES, "net", "") == expected


@pytest.mark.parametrize("pattern, says", [
    ("resnet50", "no net is called 'resnet50'; there are resnet50_v1d, resnet50_v1d-mixup"),
    ("vgg1?_bn", "no net fits 'vgg1._bn'; there are vgg16"),
    ("", "no net is called ''; see the list"),
    ("zzz*", "no net fits 'zzz.'; see the list"),
])
def test_a_pattern_that_stands_for_nothing_is_answered_with_the_nearest(pattern, says):
    with pytest.raises(UserError, match=says):
        matching(["vgg16", pattern], NAMES, "net", "see the list")


def test_the_nearest_names_contain_the_word_or_look_like_it():
    assert nearest("V1D", NAMES) == NAMES[:2]
    assert nearest("resnet50_v1d_mixup", NAMES)[0] == "resnet50_v1d-mixup"
    assert nearest("", NAMES) == []
