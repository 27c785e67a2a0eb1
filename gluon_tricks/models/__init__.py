"""Nets with GluonCV's parameter names: a `.params` file of either loads into the other."""


def __getattr__(name):
    """`get_model` and `list_models` on demand: their file imports MXNet, which this package's tables of names do not need."""
    if name in ("get_model", "list_models"):
        from gluon_tricks.models import registry
        return getattr(registry, name)
    raise AttributeError(f"module 'gluon_tricks.models' has no attribute {name!r}")
