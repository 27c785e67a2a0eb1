"""Nets with GluonCV's parameter names: a `.params` file of either loads into the other."""

from gluon_tricks.models.blocks import GroupNorm
from gluon_tricks.models.registry import get_model, list_models
from gluon_tricks.models.sizes import count_multiply_adds, count_parameters

__all__ = ["GroupNorm", "count_multiply_adds", "count_parameters", "get_model", "list_models"]
