"""Messages that could not be taken: kept sealed, bounded, counted, and shown to operators."""
