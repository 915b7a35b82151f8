"""All that touches Redis: ledger, audit, vault, contents and destination records, with their Lua in `lua/`."""
