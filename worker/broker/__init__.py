"""Between Celery and the broker: its configuration, the guard that no message passes unchecked, and how long the queues are."""
