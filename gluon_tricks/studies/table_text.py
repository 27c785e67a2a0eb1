"""The tables as text: aligned for a terminal, as Markdown, as CSV.

Each takes `(title, notes)` and rows as `table_rows` has them.
"""

from gluon_tricks.published.catalogue import catalogue
from gluon_tricks.recipes import STUDIES
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.studies.table_rows import COLUMNS
from gluon_tricks.studies.text import csv_text, markdown_table
from gluon_tricks.studies.transfer_tables import transfer_tables


def contents():
    """A line per table and study."""
    for table in TABLES.values():
        commands = sum(row.flags is not None for row in table.rows)
        yield (f"  {table.number:<10} {table.title} ({table.section}), {len(table.rows)} rows, {commands} "
               f"with a command")
    for table in transfer_tables().values():
        count = len(table.rows)
        yield f"  {table.number:<10} {table.title} ({table.section}), {count} rows, {count} with a command"
    yield f"  {'published':<10} GluonCV's published runs, {len(catalogue())}"
    yield ""
    for name, table in STUDIES.items():
        yield f"  {name:<21}  {table.title} ({table.section}), {len(table.rows)} rows"
    yield ""
    yield "Its rows:  python -m gluon_tricks tables 4"


def text(head, rows):
    """Aligned columns, then the commands."""
    title, notes = head
    widths = [max(len(str(row[name])) for row in [*rows, dict(zip(COLUMNS, COLUMNS))]) for name in COLUMNS]
    lines = [title, "", _aligned(["", *COLUMNS[1:]], widths)]
    lines += [_aligned([str(row[name]) for name in COLUMNS], widths) for row in rows]
    lines += ["", *(f"{row['number']:>3}  {row['command']}" for row in rows if row["command"])]
    lines += ["", *(f"* {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def _aligned(cells, widths):
    right, *left = [cell.rjust(width) if i == 0
                    else cell.ljust(width) for i, (cell, width) in enumerate(zip(cells, widths))]
    return "  ".join([right, *left]).rstrip()


def markdown(head, rows):
    """A Markdown table and the commands as a code block."""
    title, notes = head
    lines = [f"### {title}", "",
             *markdown_table(("#", *COLUMNS[1:]), ([row[name] for name in COLUMNS] for row in rows))]
    lines += ["", "```",
              *(f"# {row['number']}: {row['row']}\n{row['command']}" for row in rows if row["command"]),
              "```"]
    lines += ["", *(f"- {note}" for note in notes)] if notes else []
    return "\n".join(lines) + "\n"


def as_csv(head, rows):
    """Comma-separated values with a header; title and notes are left out."""
    columns = (*COLUMNS, "command")
    return csv_text(columns, ([row[name] for name in columns] for row in rows))
