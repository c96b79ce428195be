"""Prometheus: numbers in the text that it scrapes."""
