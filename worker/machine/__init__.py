"""Everything on one machine: an embedded Valkey, child processes, and their order."""
