"""Nets of `models/` in plain PyTorch; `export --format torch` copies a file as net.py next to the weights.

Classes have the names and arguments of those in the file of the same name in `models/`, modules the names of
parameters in `.params` files. So these files import only PyTorch, not even each other.
"""
