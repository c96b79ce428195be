"""The clock of APScheduler, without its stores, its pools of threads and its own arithmetic."""
