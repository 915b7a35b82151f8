"""Who may call the HTTP API, and how often."""
