"""Face: the command line. One lazily imported file per command."""
