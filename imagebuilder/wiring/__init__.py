"""The parts of `bootstrap` that have files of their own: settings become services here too."""
