"""Facts of hosts where nothing of ours is installed: one shell script over SSH, many at once."""
