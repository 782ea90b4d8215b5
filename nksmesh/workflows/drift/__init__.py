"""What live objects have otherwise than their releases say, and putting it back."""
