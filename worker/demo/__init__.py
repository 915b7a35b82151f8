"""The demonstration: one real RCA to three simulated vendors, through faults, exactly once."""
