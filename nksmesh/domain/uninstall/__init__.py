"""What Helm leaves of a mesh."""
