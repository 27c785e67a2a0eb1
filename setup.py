"""The packages to install; everything else stands in pyproject.toml, which cannot add one to those that it finds."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["gluon_tricks*", "data_prep"]), "gluon_tricks.logs"])
