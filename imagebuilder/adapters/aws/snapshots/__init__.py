"""Snapshots of EBS, written and read block by block, without any instance."""
