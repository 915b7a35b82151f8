"""One guarded HTTP exchange: where it may go, how long it may take, and what its answer means."""
