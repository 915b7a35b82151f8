"""Long texts are rendered and screened in a few processes of their own, which can be ended.

No document blocks or ends a worker: one that takes too long, or that ends the process it is worked on in, is held, and the
other jobs go on meanwhile.
"""

from worker.processes.pool import Processes

__all__ = ["Processes"]
