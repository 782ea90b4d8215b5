"""What drifted is put back."""
