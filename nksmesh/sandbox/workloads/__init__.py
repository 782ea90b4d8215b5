"""What runs in the pods of a data plane in place of their images."""
