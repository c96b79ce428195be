"""The machine we run on: its programs, files, clock and facts."""
