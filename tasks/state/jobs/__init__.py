"""The ledger: every job's record, its transitions, and the ways to read them. Each script stands beside its caller."""
