"""How a destination logs in: the kinds of credential, what of them is secret, and the grants that renew themselves. Pure."""
