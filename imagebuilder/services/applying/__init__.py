"""Applying: pipeline documents come into force. `sound` reads them, `applying` keeps the books."""
