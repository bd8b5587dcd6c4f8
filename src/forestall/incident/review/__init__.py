"""Stage 5, its last part: Incident and evidence -> Review; and any review, read and rendered."""
