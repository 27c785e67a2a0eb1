"""Publisher's archives in, RecordIO files and a manifest out. Each module runs as a script."""
