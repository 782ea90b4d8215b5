"""The only place that writes to the terminal: text for people, live progress, one versioned envelope for programs."""
