"""What an operator decides: a job again, many at once, a dry run, a connection test."""
