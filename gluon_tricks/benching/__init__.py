"""What `python -m gluon_tricks bench` measures: a module per mode, and `paired`, which all of them share."""
