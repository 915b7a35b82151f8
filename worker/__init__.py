"""What runs it: Celery app, sweeper, command line, sandbox. The only package that sees tasks and config both."""
