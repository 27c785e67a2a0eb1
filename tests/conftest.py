"""Shared by all tests. Importing the package first prepares the process for MXNet."""

import os

import gluon_tricks  # noqa: F401

os.environ.setdefault("MPLBACKEND", "Agg")
