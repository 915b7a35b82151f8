"""What renewable credentials have come to: tokens, sealed, renewed by one process at a time."""
