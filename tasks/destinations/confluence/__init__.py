"""Confluence: a document on a page, in the Cloud or in a Data Center."""
