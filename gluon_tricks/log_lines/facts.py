"""The reader of `run.json`, the facts of a run."""

from gluon_tricks.errors import UserError, printable
from gluon_tricks.files import open_file, parse_json
from gluon_tricks.log_lines.headers import checked_flags, safe
from gluon_tricks.log_lines.run_files import check_facts_types


def read_facts(path):
    """The content of a `run.json`: dict, with texts that are safe to print and checked flags in `args`.

    Raises
    ------
    UserError
        If it cannot be read, is no JSON object, or a fact or flag has a value that no run writes.
    """
    try:
        with open_file("", path) as stream:
            facts = parse_json(stream.read())
        check_facts_types(facts)
    except ValueError as error:
        raise UserError(f"{path}: is no run.json of this kit ({printable(str(error))}); it is damaged or "
                        "of another program, so move it away") from None
    facts = safe(facts)
    return {**facts, "args": checked_flags(facts["args"], f"{path}: args")} if facts.get("args") else facts
