"""The NKS guide as a list of commands: what it does, how each command is proved, and what takes it back."""
