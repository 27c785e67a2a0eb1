"""Labels that cannot be trained on, and those that look like a mistake."""

import pytest
from mxnet import recordio
from small_records import write_rec
from test_recordio import write

from gluon_tricks.data.label_check import check_labels, label_warnings
from gluon_tricks.data.record_scan import scan_labels
from gluon_tricks.data.recordio import RecordReader
from gluon_tricks.errors import UserError


def refusal(reader, classes):
    with pytest.raises(UserError) as raised:
        check_labels(reader, scan_labels(reader), classes)
    return str(raised.value)


@pytest.mark.parametrize("labels, classes, says", [
    ([1, 2, 3, 4], 4, "key 3, offset {3}: label 4 is not in 0 to 3, the labels of 4 classes (1 of 4 records); the "
                      "labels start at 1: pack the file again with labels from 0"),
    ([0, 1, 5, 6], 4, "key 2, offset {2}: label 5 is not in 0 to 3, the labels of 4 classes (2 of 4 records); give "
                      "--classes 7, or pack the file again with labels from 0"),
    ([0, -1], 4, "key 1, offset {1}: label -1 is not in 0 to 3, the labels of 4 classes (1 of 2 records); pack "
                 "the file again with labels from 0"),
    ([0, -1], None, "key 1, offset {1}: label -1 is not in 0, 1, 2, ... (1 of 2 records); pack the file again with "
                    "labels from 0"),
    ([0, 1.5], 4, "key 1, offset {1}: label 1.5 is no class index (1 of 2 records); pack the file with labels 0, "
                  "1, 2, ..."),
])
def test_the_first_label_that_is_no_class_index_is_named(tmp_path, labels, classes, says):
    reader = write_rec(tmp_path, [b"x"] * len(labels), labels)
    assert refusal(reader, classes) == f"{reader.path}, {says.format(*reader.offsets)}"


def test_records_with_several_labels_are_refused(tmp_path):
    payload = recordio.pack(recordio.IRHeader(0, [1.0, 2.0], 0, 0), b"x")
    assert refusal(RecordReader(write(tmp_path, {5: payload})), 4) == (
        f"{tmp_path}/a.rec, key 5, offset 0: has 2 labels (1 of 1 records); training needs one class index per "
        f"image, so pack the file with one label each")


def test_right_labels_pass(tmp_path):
    reader = write_rec(tmp_path, [b"x"] * 4, [0, 3, 1, 0])
    check_labels(reader, scan_labels(reader), 4)
    check_labels(reader, scan_labels(reader))


@pytest.mark.parametrize("train, val, classes, says", [
    ({0: 3, 1: 3}, {0: 1, 1: 1}, 2, []),
    ({0: 48}, {0: 12, 1: 12}, 2, ["all 48 training images have label 0",
                                  "classes that have validation images but no training image: 1 (12 images)"]),
    ({0: 48, 1: 2}, {1: 12}, 2, ["all 12 validation images have label 1"]),
    ({0: 1, 2: 1}, {0: 1, 2: 1}, 1000, ["998 of 1000 classes have no training image, the first is 1"]),
    ({0: 4}, dict.fromkeys(range(8), 2), 8, [
        "all 4 training images have label 0", "classes that have validation images but no training image: 1 (2 "
        "images), 2 (2 images), 3 (2 images), 4 (2 images), 5 (2 images) and 2 more"]),
    ({0: 4}, {0: 4}, 1, []),
])
def test_labels_that_look_like_a_mistake_are_counted(train, val, classes, says):
    assert list(label_warnings(train, val, classes)) == says
