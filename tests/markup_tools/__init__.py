"""Tools of the rendering tests: a validator of storage format, and what a reader of GFM would see."""
