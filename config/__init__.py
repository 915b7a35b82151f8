"""What an operator decides: settings, keys, logging."""
