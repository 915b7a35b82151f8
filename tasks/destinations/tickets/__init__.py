"""What all destinations of tickets share: whose a field is, an issue's stage, and the operator's mapping."""
