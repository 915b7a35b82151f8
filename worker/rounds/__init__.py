"""What every worker does beside its attempts: move what is due, post callbacks, log checkpoints."""
