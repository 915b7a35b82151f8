"""Simulated Jira."""
