"""Values and pure rules; standard library only; no clock, file, network or log."""
