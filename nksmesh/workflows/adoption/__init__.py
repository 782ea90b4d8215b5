"""A mesh that somebody else made: described and recorded, or taken over object by object."""
