"""Pipelines: the whole journey from a recipe's path to a recorded version; sees all other services."""
