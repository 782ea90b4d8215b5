"""Layers of values, and Helm's --set grammar."""
