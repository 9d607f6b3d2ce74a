"""Functions that are called while data is prepared."""

from collections.abc import Callable

# (description of the work, units done, units in total).
Progress = Callable[[str, int, int], None]
# (units done, units in total), where the caller knows the work.
CountProgress = Callable[[int, int], None]
