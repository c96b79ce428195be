"""Self-hosted golden images."""

__version__ = "0.1.0"
