"""Provisioning: component documents carried out on a machine, wherever that machine is."""
