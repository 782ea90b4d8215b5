"""Carrying a plan out: its steps, what proves each, and what an earlier run left on the way."""
