"""The ledger went back in time: noticing it, looking first from then on, and clearing that."""
