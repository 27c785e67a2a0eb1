"""Whether the labels of a data set can be trained on: the one place for record files of any origin."""

from gluon_tricks.errors import UserError

_NAMED = 5                            # classes that a warning names


def check_labels(reader, labels, classes=None):
    """Refuse labels that are no class indices.

    Parameters
    ----------
    reader : gluon_tricks.data.recordio.RecordReader
    labels : gluon_tricks.data.record_scan.Labels
        Of its file.
    classes : int, optional
        Without it the highest label is not checked.

    Raises
    ------
    UserError
        If a record has several labels, or one that is not in 0 to `classes` - 1; the first such record is
        named.
    """
    if labels.several:
        records, position, number = labels.several
        raise UserError(f"{reader.describe(position)}: has {number} labels ({_of(records, labels)}); "
                        f"training needs one class index per image, so pack the file with one label each")
    if labels.unusable:
        records, position, label = labels.unusable
        raise UserError(f"{reader.describe(position)}: label {label} is no class index "
                        f"({_of(records, labels)}); pack the file with labels 0, 1, 2, ...")
    outside = [row for row in labels.table if row[0] < 0 or classes is not None and row[0] >= classes]
    if not outside:
        return
    label, _, position = min(outside, key=lambda row: row[2])
    lowest, highest = labels.table[0][0], labels.table[-1][0]
    remedy = "pack the file again with labels from 0"
    if lowest == 1 and highest == classes:
        remedy = f"the labels start at 1: {remedy}"
    elif lowest >= 0:
        remedy = f"give --classes {highest + 1}, or {remedy}"
    allowed = f"0 to {classes - 1}, the labels of {classes} classes" if classes else "0, 1, 2, ..."
    records = sum(row[1] for row in outside)
    raise UserError(f"{reader.describe(position)}: label {label} is not in {allowed} "
                    f"({_of(records, labels)}); {remedy}")


def label_warnings(train, val, classes):
    """Yield sentences about labels that can be trained on but look like a mistake.

    Parameters
    ----------
    train, val : dict, label -> number of images
    classes : int
    """
    for name, counts in (("training", train), ("validation", val)):
        if classes > 1 and len(counts) == 1:
            [(label, images)] = counts.items()
            yield f"all {images} {name} images have label {label}"
    missing = [label for label in range(classes) if not train.get(label)]
    unseen = [label for label in missing if val.get(label)]
    if unseen:
        named = ", ".join(f"{label} ({val[label]} images)" for label in unseen[:_NAMED])
        more = f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
        yield f"classes that have validation images but no training image: {named}{more}"
    elif missing:
        yield f"{len(missing)} of {classes} classes have no training image, the first is {missing[0]}"


def _of(records, labels):
    return f"{records} of {labels.records} records"
