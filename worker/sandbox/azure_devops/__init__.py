"""Simulated Azure DevOps."""
