import gluon_tricks  # noqa: F401  prepares the process before a test module imports MXNet
