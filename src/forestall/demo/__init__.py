"""Face: the replay a newcomer runs first, on a real process, real memory and a real limit."""
