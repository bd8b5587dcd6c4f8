"""Replays of incidents, each in its own folder with a `run.py`; run by `forestall drill NAME`."""
