"""Pipelines: the journey from a recipe's path to a recorded version; sees all services."""
