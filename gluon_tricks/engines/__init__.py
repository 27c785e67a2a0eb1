"""Engines: the devices and processes of a run, and how gradients are summed over them."""
