"""Runs are done durably by DBOS Transact; it knows runs and stages, never images."""
