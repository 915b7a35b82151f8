"""All that touches Redis: ledger, audit, vault, contents and destination records, each Lua script beside the module that runs it."""
