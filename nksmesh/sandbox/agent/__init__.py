"""The agent: one process a sandbox, which answers for what simulated pods cannot do."""
