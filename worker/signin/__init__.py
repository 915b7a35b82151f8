"""Sign-in with OpenID Connect: people come from the organisation's own provider, and their groups give them a role."""
