"""Bag of Tricks for Image Classification (He et al., arXiv 1812.01187) in Apache MXNet.

Importing this package prepares the process for MXNet 1.9.1 (see `compat`), so import it before `mxnet`.
"""

from gluon_tricks import compat

__version__ = "0.1.0"

compat.prepare()
