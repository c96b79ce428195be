"""The world, one folder for each part of it; strangers to each other, wired only by bootstrap."""
