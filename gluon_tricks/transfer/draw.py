"""Pictures of predictions next to the labels, as PNG."""

import numpy as np

from gluon_tricks import pictures

SHOWN = 6                    # images on a picture
SIDE = 3.2                   # inches of an image's longer side
TEXT = 8.5                   # points
MOST_NAMED = 24              # classes in a legend
FIRST_VOC = 18               # classes with the colours of `pictures`; the others have VOC's


def draw_boxes(path, dataset, found, classes, title, threshold=0.5, shown=SHOWN):
    """Draw each image twice: labelled objects on the left, detections of at least `threshold` on the right.

    Parameters
    ----------
    dataset : VocDetection
    found : list of array, shape (D, 6)
        Class, score, corners in pixels.
    title : str
        With the score of the validation.
    """
    colors, rows, named = palette(len(classes)) / 255, [], set()
    for position in spread(len(dataset), shown):
        image, label = dataset[position]
        truth = [(row[:4], int(row[4]), "difficult" if row[5] else "") for row in label]
        answers = [(row[2:6], int(row[0]), f"{100 * row[1]:.0f} %")
                   for row in found[position] if row[1] >= threshold]
        named |= {kind for _, kind, _ in truth + answers}
        rows.append((image.asnumpy(), truth, answers))
    figure, panels = grid([image for image, _, _ in rows],
                          ("labels", f"detections from {100 * threshold:.0f} %"), title, pairs=2)
    for left, right, (image, truth, answers) in zip(panels[::2], panels[1::2], rows):
        for axes, boxes in ((left, truth), (right, answers)):
            axes.imshow(image)
            axes.set_xlabel("" if boxes else "none", fontsize=TEXT)
            _draw_boxes(axes, image.shape, boxes, colors, classes if len(classes) > 1 else None)
    _class_legend(figure, sorted(named), classes, colors)
    pictures.save(figure, path)


def _draw_boxes(axes, shape, boxes, colors, classes):
    """Draw boxes with their words; names of classes only if there are several."""
    from matplotlib.patches import Rectangle

    taken = []
    for (left, top, right, bottom), kind, word in boxes:
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, linewidth=1.8,
                                 edgecolor=colors[kind]))
        words = " ".join(filter(None, [classes[kind] if classes else "", word]))
        if words:
            x, y = free_place((left, top, right, bottom), words, shape, taken)
            axes.text(x, y, words, fontsize=TEXT, color=pictures.text_on(colors[kind]), va="top",
                      clip_on=True, parse_math=False,
                      bbox={"facecolor": colors[kind], "edgecolor": "none", "pad": 1})


def free_place(box, words, shape, taken):
    """The left upper corner for the words of a box: inside the image and, if possible, not over other words.

    Tried are the places above and below the box, and inside it; `taken` gets the rectangle of the words.
    """
    per_point = max(shape[:2]) / (72 * SIDE)                     # pixels of the image
    width, height = 0.62 * TEXT * len(words) * per_point, 1.55 * TEXT * per_point
    left, top, right, bottom = box
    places = []
    for x in (left, right - width):
        for y in (top - height, bottom + 2 * per_point, top + 2 * per_point, bottom - height):
            x, y = (float(np.clip(at, 2, max(2, most - size - 2)))
                    for at, most, size in ((x, shape[1], width), (y, shape[0], height)))
            places.append((x, y, x + width, y + height))
    free = [place for place in places
            if not any(place[0] < other[2] and other[0] < place[2] and place[1] < other[3]
                       and other[1] < place[3] for other in taken)]
    taken.append((free or places)[0])
    return taken[-1][:2]


def draw_masks(path, rows, classes, title):
    """Draw image, labels and prediction in a row for each image, with the row's pixel accuracy.

    Parameters
    ----------
    rows : list of (image, truth, answer)
        Image: uint8 RGB, shape (H, W, 3). The others: class indices, shape (H, W), -1 for no class.
    classes : list of str
    title : str
        With the scores of the validation.
    """
    colors = palette(len(classes)) / 255
    figure, panels = grid([image for image, _, _ in rows], ("image", "labels", "prediction"), title)
    for number, (image, truth, answer) in enumerate(rows):
        drawn = (image, *(np.where(mask[..., None] >= 0, colors[np.maximum(mask, 0)], 0)
                          for mask in (truth, answer)))
        for axes, pixels in zip(panels[3 * number:], drawn):
            axes.imshow(pixels)
        labelled = truth >= 0
        if labelled.any():
            share = (truth == answer)[labelled].mean()
            panels[3 * number + 2].set_xlabel(f"{100 * share:.1f} % of the pixels right", fontsize=TEXT)
    present = {int(kind) for _, truth, answer in rows for mask in (truth, answer) for kind in np.unique(mask)}
    _class_legend(figure, sorted(present), classes, colors)
    pictures.save(figure, path)


def grid(images, heads, title, pairs=1):
    """A figure with a row of panels for each image, or for each `pairs` of them, below the heads of the
    columns."""
    columns, rows = len(heads) * pairs, -(-len(images) // pairs)
    tall = max(image.shape[0] / max(image.shape[:2]) for image in images)
    wide = max(image.shape[1] / max(image.shape[:2]) for image in images)
    figure, panels = pictures.panels((columns * (SIDE * wide + 0.1), 1 + rows * (SIDE * tall + 0.2)), rows,
                                     columns, title)
    for number, axes in enumerate(panels):
        axes.grid(False)
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if number < columns:
            axes.set_title(heads[number % len(heads)], fontsize=pictures.LABEL)
    return figure, panels


def _class_legend(figure, kinds, classes, colors):
    """Names of the classes of a picture next to their colors; pixels without a class are black."""
    from matplotlib.patches import Patch

    kinds = [kind for kind in kinds if kind < len(classes)]
    patches = [Patch(color=colors[kind] if kind >= 0 else "black",
                     label=str(classes[kind]).replace("_", " ") if kind >= 0 else "no class")
               for kind in kinds[:MOST_NAMED]]
    if len(kinds) > MOST_NAMED:
        patches.append(Patch(color="none", label=f"and {len(kinds) - MOST_NAMED} more"))
    if patches:
        figure.legend(handles=patches, loc="outside lower center", ncols=min(8, len(patches)), frameon=False,
                      fontsize=pictures.TICK)


def palette(classes):
    """Colors of classes, uint8, shape (classes, 3): those of `pictures`, and after these VOC's distinct
    ones, in which the bits of the index are spread over red, green and blue."""
    found = np.zeros((classes, 3), np.uint8)
    for index in range(classes):
        if index < FIRST_VOC:
            found[index] = tuple(bytes.fromhex(pictures.color_of(index)[1:]))
            continue
        rest = index + 1
        for bit in range(7, -1, -1):
            for channel in range(3):
                found[index, channel] |= (rest >> channel & 1) << bit
            rest >>= 3
    return found


def spread(images, shown):
    """Positions of `shown` images, evenly spread over a data set; the same at every validation."""
    return sorted({int(i) for i in np.linspace(0, images - 1, min(shown, images))})
