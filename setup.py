"""The packages to install; pyproject.toml has the rest, but cannot add a package to those that it finds."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["gluon_tricks*", "data_prep"]), "gluon_tricks.logs"])
