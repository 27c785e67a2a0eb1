"""Nets with GluonCV's parameter names: a `.params` file of either loads into the other."""

from gluon_tricks.models.registry import get_model, list_models

__all__ = ["get_model", "list_models"]
