"""The child process: start it, forward signals, end it."""
