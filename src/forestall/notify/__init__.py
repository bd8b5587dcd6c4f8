"""Notify: beside stage 3, tells people: the seam, and the webhook. Standard library only."""
