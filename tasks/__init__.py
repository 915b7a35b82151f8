"""What a job is and how it is done. Knows nothing of Celery, the command line or HTTP servers."""
