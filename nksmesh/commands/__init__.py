"""One module or folder for each command: a list of steps over the engine."""
