"""Back to the Helm revisions from before a run."""
