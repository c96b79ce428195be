"""The web: files fetched from servers that anybody may run."""
