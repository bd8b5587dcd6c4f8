"""Stage 3, its hands: one file for each kind of action, all behind `handler.ActionHandler`."""
