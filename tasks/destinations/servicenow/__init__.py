"""ServiceNow: an issue as an incident."""
