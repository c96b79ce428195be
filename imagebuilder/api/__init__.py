"""The door for programs: hooks that start pipelines, metrics, and whether all is well."""
