"""Measurements of `python -m gluon_tricks bench`: a module per mode, and `paired`, which all of them use."""
