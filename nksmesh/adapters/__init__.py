"""The outside world, one module for each thing in it; no third-party object or exception leaves here."""
