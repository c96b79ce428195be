"""Building: a plan becomes a stack of layers, the stack becomes a disk and files."""
