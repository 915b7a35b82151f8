"""The same load as a stock Celery application on Redis, written as Celery's own pages advise, for comparison."""
