"""What goes, what Helm leaves, and what a purge removes too."""
