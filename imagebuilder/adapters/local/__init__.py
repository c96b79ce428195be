"""This machine: root file systems, disks, containers and virtual machines made on it."""
