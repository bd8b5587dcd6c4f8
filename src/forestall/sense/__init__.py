"""Stage 1: host -> Sample -> Series, and the facts that change rarely. It judges nothing."""
