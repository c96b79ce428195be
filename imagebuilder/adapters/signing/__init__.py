"""Signing: keys that are files, in a hardware module or with a cloud, by securesystemslib."""
