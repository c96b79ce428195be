"""Sharing: layers and files taken from other machines, and given to them."""
