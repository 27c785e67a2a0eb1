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
        captions = [f"{data.names[answers.positions[i]]}\ntruth: {names[answers.truth[i]]}\n"
                    f"answer: {names[answers.answer[i]]} {100 * answers.probability[i]:.0f} %"
                    for i in chosen]
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
    side = 3.8 + 0.26 * min(len(names), MOST_TICKS)
    figure, [axes] = pictures.panels((side + 1.4, side), title=title)
    images = matrix.sum(axis=1, keepdims=True)
    shares = 100 * np.divide(matrix, images, where=images > 0, out=np.zeros(matrix.shape))
    shown = axes.imshow(shares, vmin=0, vmax=100, cmap="cividis")
    figure.colorbar(shown, ax=axes, shrink=0.7).set_label("share of the class, % (numbers: images)"
                                                          if len(names) <= MOST_TICKS // 2 else
                                                          "share of the class, %", fontsize=pictures.LABEL)
    axes.grid(False)
    pictures.label(axes, "answer", "truth")
    if len(names) <= MOST_TICKS:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=pictures.TICK, parse_math=False)
        axes.set_yticks(range(len(names)), names, fontsize=pictures.TICK, parse_math=False)
    if len(names) <= MOST_TICKS // 2:
        for row, column in zip(*np.nonzero(matrix)):
            is_bright = 2 * matrix[row, column] > images[row, 0]
            axes.text(column, row, matrix[row, column], ha="center", va="center", fontsize=8,
                      color="black" if is_bright else "white")
    return figure


def drawn_calibration(curve, title):
    """Accuracy over probability, and the images of each bin below."""
    figure, [above, below] = pictures.panels((6.4, 6.4), rows=2, title=title)
    edges = np.linspace(0, 100, len(curve.images) + 1)
    above.plot([0, 100], [0, 100], color="gray", linewidth=1, linestyle="--",
               label="accuracy = probability")
    used = curve.images > 0
    above.plot(100 * curve.probability[used], 100 * curve.accuracy[used], marker="o", color=pictures.RUN,
               label=f"this net, expected calibration error {100 * curve.expected_error:.1f} %")
    above.set(xlim=(0, 100), ylim=(0, 103))
    pictures.label(above, "", "accuracy, %")
    pictures.legend(above)
    below.bar(edges[:-1], curve.images, width=np.diff(edges), align="edge", color=pictures.RUN,
              edgecolor="white")
    below.set(xlim=(0, 100))
    pictures.label(below, "probability of the answer, %", "images")
    return figure


# --- Text ---------------------------------------------------------------------------------------------------

def summary(title, names, answers, matrix, curve):
    """The text of report.md."""
    images, right = len(answers.truth), int(answers.is_right.sum())
    low, high = wilson_interval(right, images)
    lines = [f"# {title}", "",
             f"top-1: {right} of {images} right, {100 * right / images:.2f} % (95 % interval {100 * low:.2f} "
             f"to {100 * high:.2f}); expected calibration error "
             f"{100 * curve.expected_error:.1f} %.", "",
             "![confusion matrix](confusion.png)", "", "## Classes with the lowest accuracy", "",
             "| class | images | right | accuracy, % | 95 % interval, % |", "| --- | --- | --- | --- | --- |"]
    rows = [row for row in class_rows(matrix, names) if row[2]]
    for _, name, count, good, share, least, most in sorted(rows, key=lambda row: float(row[4]))[:MOST_LINES]:
        share, least, most = (f"{100 * float(value):.2f}" for value in (share, least, most))
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
