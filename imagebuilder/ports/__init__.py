"""Roles the services need, and the errors they may raise; no logic."""
