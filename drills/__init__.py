"""Replays of incidents, each a program `drills/NAME/run.py`: see `forestall drill --list`."""
