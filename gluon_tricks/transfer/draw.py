"""Pictures of predictions next to the labels, as PNG."""

import cv2
import numpy as np

from gluon_tricks.files import atomic_path

TRUTH, FOUND, HARD = (40, 180, 40), (40, 40, 230), (170, 170, 170)     # BGR
SHOWN = 6                    # images on a picture


def draw_boxes(path, dataset, found, classes, threshold=0.5, shown=SHOWN, scale=None):
    """Draw each image twice: labelled objects on the left, detections of at least `threshold` on the right.

    Parameters
    ----------
    dataset : VocDetection
    found : list of array, shape (D, 6)
        Class, score, corners in pixels.
    """
    tiles = []
    for position in spread(len(dataset), shown):
        image, label = dataset[position]
        image = image.asnumpy()[..., ::-1]
        factor = scale or max(1.0, 400 / max(image.shape[:2]))
        truth = [(row[:4], HARD if row[5] else TRUTH, classes[int(row[4])]) for row in label]
        answers = [(row[2:6], FOUND, f"{classes[int(row[0])]} {row[1]:.2f}")
                   for row in found[position] if row[1] >= threshold]
        tiles.append(np.hstack([_with_boxes(image, boxes, factor) for boxes in (truth, answers)]))
    write_png(path, stacked(tiles))


def _with_boxes(image, boxes, factor):
    image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    for corners, color, word in boxes:
        left, top, right, bottom = (int(round(value * factor)) for value in corners)
        cv2.rectangle(image, (left, top), (right, bottom), color, 2)
        cv2.putText(image, word, (left, max(12, top - 4)), cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1,
                    cv2.LINE_AA)
    return cv2.copyMakeBorder(image, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def draw_masks(path, rows, colors):
    """Draw image, labels and prediction in a row for each image.

    Parameters
    ----------
    rows : list of (image, truth, answer)
        Image: uint8 RGB, shape (H, W, 3). The others: class indices, shape (H, W), -1 for no class.
    colors : uint8 array, shape (classes, 3)
        RGB.
    """
    tiles = [np.hstack([image, *(_painted(mask, colors) for mask in (truth, answer))])[..., ::-1]
             for image, truth, answer in rows]
    write_png(path, stacked(tiles, columns=1))


def _painted(mask, colors):
    return np.where(mask[..., None] >= 0, colors[np.maximum(mask, 0)], 0).astype(np.uint8)


def palette(classes):
    """VOC's distinct colors, uint8, shape (classes, 3): bits of the index spread over red, green and blue."""
    found = np.zeros((classes, 3), np.uint8)
    for index in range(classes):
        rest = index + 1
        for bit in range(7, -1, -1):
            for channel in range(3):
                found[index, channel] |= (rest >> channel & 1) << bit
            rest >>= 3
    return found


def spread(images, shown):
    """Positions of `shown` images, evenly spread over a data set; the same at every validation."""
    return sorted({int(i) for i in np.linspace(0, images - 1, min(shown, images))})


def stacked(tiles, columns=2):
    """One picture with tiles of any size, row by row."""
    height, width = (max(tile.shape[axis] for tile in tiles) for axis in (0, 1))
    padded = [cv2.copyMakeBorder(tile, 0, height - tile.shape[0], 0, width - tile.shape[1],
                                 cv2.BORDER_CONSTANT,
                                 value=(255, 255, 255)) for tile in tiles]
    padded += [np.full_like(padded[0], 255)] * (-len(padded) % columns)
    return np.vstack([np.hstack(padded[i:i + columns]) for i in range(0, len(padded), columns)])


def write_png(path, image):
    """Write a BGR image."""
    with atomic_path(path) as part:
        if not cv2.imwrite(str(part), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
            raise OSError(f"{path}: OpenCV cannot write it")
