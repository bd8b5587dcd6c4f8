"""After it happened: kernel messages of an OOM kill or panic -> who held the memory, and why."""
