"""Labelled texts, written for these tests and put together at run time, so that the repository holds no secret."""
