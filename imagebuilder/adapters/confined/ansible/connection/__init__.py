"""Connection plugins: what ansible-playbook may reach. It finds them by their files' names."""
