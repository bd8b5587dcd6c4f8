"""A real kernel panics under emulation, with and without a guard: see docs/reference/drill.md."""
