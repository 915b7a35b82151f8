"""Who is notified of what happens: receivers of notifications, and how far each of them has been told."""
