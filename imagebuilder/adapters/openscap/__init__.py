"""OpenSCAP: SCAP content, the engine that scans by it, and what it says; no catalogue."""
