"""Quality as a setting: a mean agreement with the dense model, a bound on age, one on cost."""

from streamdyn.quality.keeper import Keeper
from streamdyn.quality.settings import Quality

__all__ = ["Keeper", "Quality"]
