"""Traffic: recipes, the objects they make, and what really happened to the requests."""
