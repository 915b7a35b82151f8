"""Simulated ServiceNow."""
