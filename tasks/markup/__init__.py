"""One parse of Markdown (GFM), one renderer for each target. Pure: no network, no state, same output every time."""
