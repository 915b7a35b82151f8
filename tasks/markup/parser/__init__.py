"""Markdown read: GFM and what people write beside it, as one list of tokens."""
