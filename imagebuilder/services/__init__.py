"""Use cases, one a file; ports come in through the constructor."""
