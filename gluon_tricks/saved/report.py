"""The files of `evaluate --report`: what a net gets right and wrong, class by class and image by image.

    report.md               the figures in short
    predictions.csv         a line for each image: name, truth, answer, both probabilities
    classes.csv             a line for each class: images, right answers, accuracy with its 95 % interval
    confusion.csv .png      images of each class by the net's answer
    calibration.csv .png    how often answers of a given probability are right
    mistakes.png            the wrong answers that the net is surest of
    least_sure.png          the right answers that it is least sure of
"""

import csv
import io

import numpy as np

from gluon_tricks import pictures
from gluon_tricks.files import atomic_write
from gluon_tricks.saved.answers import calibration, confusion_matrix, wilson_interval
from gluon_tricks.saved.sheet import draw_sheet

SHOWN = 30                       # images on a sheet
MOST_TICKS = 40                  # classes whose names fit beside a confusion matrix
MOST_LINES = 10                  # of the tables in report.md


def write_report(folder, title, data, names, answers):
    """Write all files into `folder`, which exists.

    Parameters
    ----------
    folder : Path
    title : str
        Of report.md and the pictures.
    data : Validation
        With `names`.
    names : list of str
        Classes in label order.
    answers : Answers
    """
    matrix, curve = confusion_matrix(answers, len(names)), calibration(answers)
    write_csv(folder / "predictions.csv", ("image", "truth", "answer", "right", "probability", "of_truth"),
              zip([data.names[position] for position in answers.positions],
                  [names[label] for label in answers.truth], [names[label] for label in answers.answer],
                  answers.is_right.astype(int), map("{:.6f}".format, answers.probability),
                  map("{:.6f}".format, answers.of_truth)))
    write_csv(folder / "classes.csv", ("label", "class", "images", "right", "accuracy", "low", "high"),
              class_rows(matrix, names))
    write_csv(folder / "confusion.csv", ("class", *names), ((name, *row) for name, row in zip(names, matrix)))
    write_csv(folder / "calibration.csv", ("images", "probability", "accuracy"), zip(*curve))
    pictures.save(drawn_matrix(matrix, names, title), folder / "confusion.png")
    pictures.save(drawn_calibration(curve, title), folder / "calibration.png")
    for name, words, chosen in sheets(answers):
        captions = [f"{data.names[answers.positions[i]]}\n{names[answers.truth[i]]}\n"
                    f"answer {names[answers.answer[i]]} {answers.probability[i]:.2f}" for i in chosen]
        images = data.loader.images.read(answers.positions[chosen])[0] if len(chosen) else []
        pictures.save(draw_sheet(images, captions, f"{title}: {words}"), folder / name)
    atomic_write(folder / "report.md", summary(title, names, answers, matrix, curve))


def sheets(answers):
    """`(file, what it shows, numbers of the answers)` of each sheet."""
    order = np.argsort(answers.probability, kind="stable")
    wrong, right = order[~answers.is_right[order]][::-1], order[answers.is_right[order]]
    yield "mistakes.png", f"the surest of {len(wrong)} mistakes", wrong[:SHOWN]
    yield "least_sure.png", f"the least sure of {len(right)} right answers", right[:SHOWN]


def write_csv(path, header, rows):
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(header)
    lines.writerows(rows)
    atomic_write(path, text.getvalue().encode("utf-8", "surrogateescape"))


def class_rows(matrix, names):
    """A row for each class: label, name, images, right answers, accuracy, and its 95 % interval."""
    images, right = matrix.sum(axis=1), np.diag(matrix)
    low, high = wilson_interval(right, images)
    for label, name in enumerate(names):
        shares = ([right[label] / images[label], low[label], high[label]] if images[label] else [])
        yield (label, name, images[label], right[label],
               *([f"{share:.4f}" for share in shares] or ["", "", ""]))


# --- Pictures -----------------------------------------------------------------------------------------------

def drawn_matrix(matrix, names, title):
    """The confusion matrix as shares of each class; with names and counts where there is room."""
    side = 4 + 0.22 * min(len(names), MOST_TICKS)
    figure, [axes] = pictures.panels((side, side))
    images = matrix.sum(axis=1, keepdims=True)
    shown = axes.imshow(np.divide(matrix, images, where=images > 0, out=np.zeros(matrix.shape)), vmin=0,
                        vmax=1, cmap="viridis")
    figure.colorbar(shown, ax=axes, shrink=0.7, label="share of the class")
    axes.grid(False)
    axes.set(xlabel="answer", ylabel="truth", title=title)
    if len(names) <= MOST_TICKS:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7, parse_math=False)
        axes.set_yticks(range(len(names)), names, fontsize=7, parse_math=False)
    if len(names) <= MOST_TICKS // 2:
        for row, column in zip(*np.nonzero(matrix)):
            is_bright = 2 * matrix[row, column] > images[row, 0]
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=7,
                      color="black" if is_bright else "white")
    return figure


def drawn_calibration(curve, title):
    """Accuracy over probability, and the images of each bin below."""
    figure, [above, below] = pictures.panels((5, 5.5), rows=2)
    edges = np.linspace(0, 1, len(curve.images) + 1)
    above.plot([0, 1], [0, 1], color="gray", linewidth=1, label="as sure as right")
    used = curve.images > 0
    above.plot(curve.probability[used], curve.accuracy[used], marker="o", color=pictures.shades(2)[0],
               label=f"expected error {curve.expected_error:.3f}")
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel="accuracy", title=title)
    above.legend()
    below.bar(edges[:-1], curve.images, width=np.diff(edges), align="edge", color=pictures.shades(2)[0])
    below.set(xlim=(0, 1), xlabel="probability of the answer", ylabel="images")
    return figure


# --- Text ---------------------------------------------------------------------------------------------------

def summary(title, names, answers, matrix, curve):
    """The text of report.md."""
    images, right = len(answers.truth), int(answers.is_right.sum())
    low, high = wilson_interval(right, images)
    lines = [f"# {title}", "",
             f"top-1: {right} of {images} right, {100 * right / images:.2f} % (95 % interval {100 * low:.2f} "
             f"to {100 * high:.2f}); expected calibration error {curve.expected_error:.3f}.", "",
             "![confusion matrix](confusion.png)", "", "## Classes with the lowest accuracy", "",
             "| class | images | right | accuracy | 95 % interval |", "| --- | --- | --- | --- | --- |"]
    rows = [row for row in class_rows(matrix, names) if row[2]]
    for _, name, count, good, share, least, most in sorted(rows, key=lambda row: float(row[4]))[:MOST_LINES]:
        lines.append(f"| {name} | {count} | {good} | {share} | {least} to {most} |")
    lines += ["", "## Most frequent confusions", "", "| truth | answer | images |", "| --- | --- | --- |"]
    off = matrix - np.diag(np.diag(matrix))
    for place in np.argsort(-off, axis=None, kind="stable")[:MOST_LINES]:
        truth, answer = divmod(int(place), len(names))
        if off[truth, answer]:
            lines.append(f"| {names[truth]} | {names[answer]} | {off[truth, answer]} |")
    lines += ["", "![surest mistakes](mistakes.png)", "", "![least sure right answers](least_sure.png)", "",
              "![calibration](calibration.png)", ""]
    return "\n".join(lines)
