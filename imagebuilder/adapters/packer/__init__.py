"""Packer: images of machines that it starts. Its words and traps stay in here."""
