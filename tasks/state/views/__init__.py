"""Saved views: filters of the jobs page that people keep under a name, for themselves or for everybody."""
