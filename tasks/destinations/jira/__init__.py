"""Jira: an issue as an issue of a project."""
