"""What nksmesh knows about meshes: pure data and decisions, the standard library only."""
