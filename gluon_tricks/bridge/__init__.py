"""The bridge to PyTorch: names of parameters there, timm's architectures, plain nets for what timm lacks.

Nothing here imports MXNet; only `plain/` and `torch_side.py`, which run elsewhere, import PyTorch.
"""
