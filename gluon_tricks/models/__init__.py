"""Nets with GluonCV's parameter names: a `.params` file of either loads into the other."""
