"""Stand-ins that keep the real thing's interface."""
