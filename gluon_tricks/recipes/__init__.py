"""The paper's Tables 1 to 6 as rows of flags for train_imagenet.py, and the figures that belong to each row.

`STUDIES` are the CIFAR-100 follow-up's tables and the CIFAR-10 collection's, for train_cifar.py.
"""

from gluon_tricks.recipes import collection, follow_up
from gluon_tricks.recipes.paper import TABLES
from gluon_tricks.recipes.rows import Row, Table, words

STUDIES = {**follow_up.TABLES, **collection.TABLES}

__all__ = ["STUDIES", "TABLES", "Row", "Table", "words"]
