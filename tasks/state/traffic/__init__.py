"""What a destination lets through: limits, breaker, suspension."""
