"""Back to what was before a run."""
