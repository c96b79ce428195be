"""Bytes that standards demand, made of the domain's values."""
