"""Many streams on many processes: decoders, which also decide, and workers, which compute.

Ray starts the processes and carries what they send each other; only this package imports it. The
classes that do the work (`feed`, `course`, `link`, `engine`) know nothing of Ray, and run in one
process as well.
"""

import os

# Ray prints on stdout, for each process that is lost, what is told as an event of its streams. It
# reads this when it is imported.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", "^A worker died or was killed")

from streamdyn.cluster.messages import Work
from streamdyn.cluster.supervisor import Supervisor

__all__ = ["Supervisor", "Work"]
