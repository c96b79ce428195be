"""AMIs: made of snapshots, copied, shared, pointed to, looked after and withdrawn."""
