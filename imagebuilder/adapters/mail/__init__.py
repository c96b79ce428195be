"""Mail: what is told to people by a mail server."""
