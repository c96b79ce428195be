"""Logs: what processes that stay tell of their work, one line a thing."""
