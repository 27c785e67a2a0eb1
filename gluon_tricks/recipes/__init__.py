"""The paper's Tables 1 to 6 as rows of flags for train_imagenet.py, and the figures that belong to each row."""

from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.rows import Row, Table, words

__all__ = ["TABLES", "Row", "Table", "words"]
