"""How a destination's requests come to their credential, and to a new one when it ends or is refused.

A credential that was made by hand is sent as it is. One that renews itself is an access token, held sealed in the ledger
beside its destination: whoever finds that it ends soon renews it, one process at a time, while the others go on with what
there is. What a server gives is stored before it is used, so that no end of a process loses a grant. Each request to an
authorization server is guarded and audited as any other.
"""
