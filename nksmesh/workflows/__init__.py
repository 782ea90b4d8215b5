"""The steps of each command, in order, over ports: a workflow reads like a list."""
