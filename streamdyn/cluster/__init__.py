"""Many streams on many processes: decoders, which also decide, and workers, which compute.

Ray starts the processes and carries what they send each other; only this package imports it. The
classes that do the work (`feed`, `course`, `link`, `engine`) know nothing of Ray, and run in one
process as well.
"""

from streamdyn.cluster.messages import Work
from streamdyn.cluster.supervisor import Supervisor

__all__ = ["Supervisor", "Work"]
