"""The HTTP API: `app.build(services)` makes it, `serve` runs it. Routes stand in `routes.py`."""
