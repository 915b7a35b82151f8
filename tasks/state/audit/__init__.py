"""The audit trail: its entries and their signatures, reading, verifying, checkpoints and exports."""
