"""Names in folders of images: what is an image by its name, and what is not the user's.

Notebooks, desktops and file servers leave files and folders in data sets: `.ipynb_checkpoints`,
`._IMG_1.jpg`, `__MACOSX`, `Thumbs.db`. Every reader of folders and archives leaves these out by `is_hidden`.
"""

from pathlib import PurePath

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp", ".webp", ".tif", ".tiff")
SYSTEM_NAMES = {"__macosx", "thumbs.db", "desktop.ini", "lost+found", "@eadir", "$recycle.bin",
                "system volume information"}
HIDDEN, NO_IMAGE = "hidden or of the system", "no image by its name"


def is_hidden(path):
    """Whether a relative path, or a part of it, begins with a dot or is a name that systems use."""
    parts = PurePath(path).parts
    return any(part.startswith(".") and part != ".." or part.lower() in SYSTEM_NAMES for part in parts)


def is_image(name):
    """Whether a file name ends as those of images do."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def are_indices(names):
    """Whether names in label order are `0`, `1`, `2` and so on."""
    return list(names) == [str(label) for label in range(len(names))]


def class_order(names):
    """Class names in label order: numbers by value, else by alphabet.

    Folders named by class indices, as ImageNet-V2's `0` to `999`, so keep them as labels. By alphabet, as
    GluonCV sorts them, 10 would come before 2.
    """
    are_numbers = all(name.isascii() and name.isdecimal() for name in names)
    return sorted(names, key=lambda name: (int(name) if are_numbers else 0, name))


def sorted_entries(folder, left_out):
    """The paths in a folder that are the user's, by name; appends the others to `left_out`."""
    entries = sorted(folder.iterdir())
    left_out += [(path.name, HIDDEN) for path in entries if is_hidden(path.name)]
    return [path for path in entries if not is_hidden(path.name)]


def left_out_line(folder, left_out):
    """A line that counts what was left out of a folder, by reason; "" for nothing.

    Parameters
    ----------
    left_out : list of (name, reason)
    """
    names = {}
    for name, reason in left_out:
        names.setdefault(reason, []).append(name)
    counts = [f"{len(found)} {reason} ({', '.join(map(repr, found[:3]))}{', ...' * (len(found) > 3)})"
              for reason, found in names.items()]
    return f"left out of {folder}: {', '.join(counts)}" if counts else ""
