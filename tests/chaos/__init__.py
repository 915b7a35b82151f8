"""Workers are killed while vendors fail: nothing may be lost and nothing delivered twice."""
