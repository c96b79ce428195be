"""Playbooks and roles: foreign code, run by ansible-playbook, confined, against one machine."""
