"""The catalogue in SQLite or PostgreSQL: tables, rows, transactions. No other part knows SQL."""
