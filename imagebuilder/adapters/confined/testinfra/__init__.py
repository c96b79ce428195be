"""The recipes' own tests: foreign code, run confined, with nothing in reach but the image."""
