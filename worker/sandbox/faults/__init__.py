"""What can go wrong, on request."""
