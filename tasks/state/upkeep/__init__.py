"""What is done for all jobs and records from time to time: close, forget, seal again, trim."""
