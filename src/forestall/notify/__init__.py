"""Notify: beside stage 3, tells people: the seam, webhook, PagerDuty. Standard library only."""
