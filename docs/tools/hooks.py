"""Pages of the site that are made from other files, and links from docs/ into the repository.

docs/ is read on GitHub as well, so its links go to files: `../gluon_tricks/tricks/mixup.py`. For the site,
each file that a page links to becomes a page or an asset under `repository/`, at its own path; the link is
changed to it. Added as well are the tour, made from its notebook, the API, one page for each room of the
package.
"""

import base64
import json
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(\]\()([^)\s]+)")
CODE_BLOCK = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
ROOMS = {
    "tricks": "One file for each trick",
    "models": "Nets and their initial weights",
    "optim": "Schedules and optimizers",
    "data": "Readers, augmentation, manifests",
    "recipes": "Tables of the paper and of the follow-ups",
    "log_lines": "GluonCV's log lines, written and read",
    "published": "What GluonCV published",
    "judging": "Bands, verdict, diagnosis, certificate",
    "training": "The loop, evaluation, resume files",
    "saved": "Saved nets: evaluation, answers, export",
}
LANGUAGES = {".py": "python", ".sh": "bash", ".csv": "text", ".json": "json", ".txt": "text", "": "text"}
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"


def on_config(config):
    """Put the pages of folders into the navigation."""
    for entry in config.nav:
        if "Tricks" in entry:
            entry["Tricks"] = trick_pages()
        if "API" in entry:
            entry["API"] = ["api/index.md", *(f"api/{room}.md" for room in ROOMS)]
    return config


def on_files(files, config):
    """Add the tour, the API, and what pages link to outside docs/."""
    tour, pictures = notebook_page(ROOT / "docs" / "tour.ipynb")
    made = {"tour.md": tour, **pictures, "api/index.md": api_index(),
            **{f"api/{room}.md": api_page(room) for room in ROOMS}}
    for uri, text in made.items():
        files.append(File.generated(config, uri, content=text))
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    todo = ["CONTRIBUTING.md", "CHANGELOG.md", *outside(texts)]
    known = set()
    while todo:
        path = todo.pop()
        if path not in known:
            known.add(path)
            file = repository_file(path, config)
            files.append(file)
            if file.is_documentation_page() and readme_of(path).endswith(".md"):
                todo += outside({readme_of(path): file.content_string})
    return files


def on_page_markdown(markdown, page, config, files):
    """Change the links that leave docs/ to the pages under repository/."""
    here = place_of(page.file.src_uri)

    def changed(match):
        path, anchor = target(match[2], here)
        if path is None:
            return match[0]
        uri = page_of_notebook(path, here) or site_uri(path)
        relative = posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")
        return match[1] + relative + anchor

    parts = CODE_BLOCK.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(changed, part) for part in parts)


# --- Links --------------------------------------------------------------------------------------------------

def place_of(uri):
    """The path in the repository of a page of the site."""
    if uri.startswith("repository/"):
        return readme_of(uri.removeprefix("repository/").removesuffix(".source.md"))
    return f"docs/{uri}"


def target(link, here):
    """`(path, "#anchor" or "")` in the repository of a link on the page `here`; `(None, "")` for others."""
    name, hash_sign, anchor = link.partition("#")
    if not name or "://" in name or name.startswith("mailto:"):
        return None, ""
    return posixpath.normpath(posixpath.join(posixpath.dirname(here), name)), hash_sign + anchor


def page_of_notebook(path, here):
    """The tour's page for a link to the notebook, except on that page itself, which offers the file."""
    return "tour.md" if path == "docs/tour.ipynb" and here != "docs/tour.md" else None


def outside(texts):
    """The paths outside docs/ that pages, `{path: text}`, link to."""
    found = []
    for here, text in texts.items():
        for _, link in LINK.findall(CODE_BLOCK.sub("", text)):
            path, _ = target(link, here)
            if path and not path.startswith(("docs/", "..")) and path != "docs":
                found.append(path)
    return found


def readme_of(path):
    """A folder's README, where it has one; otherwise the path itself."""
    return f"{path}/README.md" if (ROOT / path / "README.md").is_file() else path


def site_uri(path):
    """Where a file of the repository is in the site."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    path = readme_of(path)
    is_page = path.endswith((".md", ".png", ".svg"))
    return f"repository/{path}" + ("" if is_page else ".source.md")


def repository_file(path, config):
    """A page for a text or a folder, an asset for a picture.

    Raises
    ------
    FileNotFoundError
        If a page links to what is not there.
    """
    path = readme_of(path)
    source, uri = ROOT / path, site_uri(path)
    if source.suffix in (".png", ".svg"):
        return File.generated(config, uri, abs_src_path=str(source))
    if source.suffix == ".md":
        return File.generated(config, uri, content=source.read_text(encoding="utf-8"))
    if source.is_dir():
        content = "\n".join(f"- `{each.name}{'/' * each.is_dir()}`" for each in sorted(source.iterdir())
                            if each.name[0] not in "._")
    else:
        language = LANGUAGES.get(source.suffix, "text")
        content = f"~~~~~~{language}\n{source.read_text(encoding='utf-8')}\n~~~~~~"
    return File.generated(config, uri, content=f"{NOT_SEARCHED}# `{path}`\n\n{content}\n")


# --- Pages --------------------------------------------------------------------------------------------------

def trick_pages():
    """The pages of docs/tricks in the order of its table."""
    index = ROOT / "docs" / "tricks" / "index.md"
    rows = (line for line in index.read_text(encoding="utf-8").splitlines() if line.startswith("| ["))
    return ["tricks/index.md", *(f"tricks/{LINK.search(row)[2]}" for row in rows)]


def api_index():
    """The start page of the API."""
    rows = "\n".join(f"| [{room}]({room}.md) | {what} |" for room, what in ROOMS.items())
    return ("# API\n\nAfter reading this page you know which part of the package has what you look for.\n\n"
            "The pages are made from the docstrings. Names that start with `_` are left out.\n\n"
            f"| part | what it has |\n| --- | --- |\n{rows}\n")


def api_page(room):
    """A room's page: its modules, in alphabetical order."""
    names = sorted(path.stem for path in (ROOT / "gluon_tricks" / room).glob("*.py") if path.stem[0] != "_")
    modules = "\n\n".join(f"::: gluon_tricks.{room}.{name}" for name in names)
    return f"# gluon_tricks.{room}\n\n{ROOMS[room]}.\n\n{modules}\n"


def notebook_page(path):
    """A notebook as Markdown, and its pictures: `(text, {uri: bytes})`."""
    parts, pictures = [], {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        printed = "".join("".join(output.get("text", "")) for output in cell["outputs"]).rstrip()
        if printed:
            parts.append(f"```text\n{printed}\n```")
        for output in cell["outputs"]:
            if image := output.get("data", {}).get("image/png"):
                name = f"{path.stem}-{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(image))
                parts.append(f"![What the cell draws]({name})")
    return "\n\n".join(parts) + "\n", pictures
