"""Rows of values as Markdown and CSV."""

import csv
import io


def markdown_table(header, rows):
    """The lines of a Markdown table."""
    cells = ([str(cell).replace("|", "\\|") for cell in row] for row in (header, *rows))
    head, *lines = (f"| {' | '.join(row)} |" for row in cells)
    return [head, "| --- " * len(header) + "|", *lines]


def csv_text(header, rows):
    """Comma-separated values with a header."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerows([header, *rows])
    return stream.getvalue()
