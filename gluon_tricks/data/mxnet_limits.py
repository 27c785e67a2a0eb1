"""Record files that MXNet's iterator would read wrongly, or not survive.

    garbage pixels   a random crop of an image that is exactly as large as the result is resized within its
                     own memory (apache/mxnet issue 16925)
    empty crop       8 % of an image of at most 4 pixels are no pixel, so the crop fails
    no image         a validation image that does not decode divides by its width 0, and the process ends with
                     SIGFPE; the build in the wheel decodes JPEG, PNG, BMP and TIFF
    grey             a JPEG whose end is missing is filled up with grey
    other records    the iterator reads all bytes up to the next offset of the index, so it also yields
                     records that the index leaves out
"""

from gluon_tricks.data.label_check import check_labels
from gluon_tricks.data.recordio import rebuild_command
from gluon_tricks.data.scan_memory import images_of, labels_of
from gluon_tricks.errors import UserError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
SMALLEST_CROPPED = 5                  # pixels: round(sqrt(0.08 x 5 x 3/4)) = 1, with 4 pixels 0
REMEDY = "use --data-backend ours"


def check_readable(reader, crop=None, side=None):
    """Refuse a record file that MXNet's iterator cannot read rightly.

    Parameters
    ----------
    reader : gluon_tricks.data.recordio.RecordReader
    crop : int, optional
        Side in pixels of random crops that are resized to it, as in training on photographs.
    side : int, optional
        Side that all images must have, as in training on CIFAR.

    Raises
    ------
    UserError
        The first such record and the reason are named.
    """
    labels = labels_of(reader)
    if labels.uncovered or len({*reader.offsets.tolist()}) < len(reader):
        raise UserError(f"{reader.idx_path}: does not list every record of {reader.path} once, so "
                        f"MXNet's iterator would read others; {REMEDY}, or make the index again with "
                        f"{rebuild_command(reader.path, reader.idx_path)}")
    check_labels(reader, labels)
    images = images_of(reader)
    if images.damaged:
        _refuse(images.damaged[0][1], len(images.damaged), f"MXNet's iterator needs images that decode; "
                f"{REMEDY} --on-bad-record skip")
    for name, records, position in images.formats:
        if name not in FORMATS:
            _refuse(f"{reader.describe(position)}: is {name}", records,
                    f"MXNet's iterator reads {', '.join(FORMATS)}; {REMEDY}")
    for pixels, records, position in images.squares:
        if pixels == crop:
            _refuse(f"{reader.describe(position)}: has {crop} x {crop} pixels, as the crop", records,
                    f"MXNet's iterator makes garbage of random crops of such images; {REMEDY}")
    pixels, position = images.smallest
    if crop and pixels < SMALLEST_CROPPED:
        raise UserError(f"{reader.describe(position)}: has {pixels} pixels, too few for the random crops of "
                        f"MXNet's iterator; {REMEDY}")
    if side and not images.heights == images.widths == [side, side]:
        raise UserError(f"{reader.path}: images of {images.widths[0]} to {images.widths[1]} x "
                        f"{images.heights[0]} to {images.heights[1]} pixels, expected {side} x {side}; "
                        f"prepare the data again")


def _refuse(what, records, why):
    more = f" ({records} such records)" if records > 1 else ""
    raise UserError(f"{what}{more}: {why}")
