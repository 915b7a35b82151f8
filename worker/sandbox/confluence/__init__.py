"""Simulated Confluence: Cloud and Data Center over one set of pages."""
