"""`python -m streamdyn` is the command `streamdyn`."""

import sys

from streamdyn.cli import main

sys.exit(main())
