"""Foreign Python (tests, playbooks) run confined, with nothing in reach but one machine."""
