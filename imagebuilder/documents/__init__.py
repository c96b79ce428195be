"""Documents: YAML text people write, turned into domain values, or into problems with their places.

YAML and JSON Schema live only here. Reading files is not done here, nor is finding the components a
recipe names (`services.authoring`). `reader` is the one door.
"""
