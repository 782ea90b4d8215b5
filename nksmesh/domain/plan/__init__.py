"""Plans: steps, their order, changes, diffs, upgrade paths, rollback targets, runs."""
