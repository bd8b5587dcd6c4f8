"""Face: one lazily imported file per command."""
