"""What every command line program of ours shares: options, output, errors, following a job."""
