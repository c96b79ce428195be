"""Advisories: imported from files that others publish into one file that is read."""
