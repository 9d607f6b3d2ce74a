"""Analyze finished runs beyond their accuracies.

The names below are public, `ssl_video.analysis.NAME`, and loaded on first use: `audit`, the quality of
pseudo-labels over time, by class and between networks; `compare`, the differences between two runs;
`dynamics`, the accuracy on clips slowed, frozen, reversed, shuffled.
"""

from typing import TYPE_CHECKING

from ssl_video import lazy as _lazy

if TYPE_CHECKING:  # `as` says that a name is public
    from ssl_video.benchmarks.analysis.audit import Agreement as Agreement
    from ssl_video.benchmarks.analysis.audit import ByClass as ByClass
    from ssl_video.benchmarks.analysis.audit import Mistake as Mistake
    from ssl_video.benchmarks.analysis.audit import OverTime as OverTime
    from ssl_video.benchmarks.analysis.auditing import Audit as Audit
    from ssl_video.benchmarks.analysis.auditing import Audits as Audits
    from ssl_video.benchmarks.analysis.auditing import audit as audit
    from ssl_video.benchmarks.analysis.dynamics import Dynamics as Dynamics
    from ssl_video.benchmarks.analysis.dynamics import dynamics as dynamics
    from ssl_video.benchmarks.analysis.pair import Pair as Pair
    from ssl_video.benchmarks.analysis.pair import Side as Side
    from ssl_video.benchmarks.analysis.pair import compare as compare

# Where each public name is defined.
_HOME = {
    "Agreement": "benchmarks.analysis.audit",
    "Audit": "benchmarks.analysis.auditing",
    "Audits": "benchmarks.analysis.auditing",
    "ByClass": "benchmarks.analysis.audit",
    "Dynamics": "benchmarks.analysis.dynamics",
    "Mistake": "benchmarks.analysis.audit",
    "OverTime": "benchmarks.analysis.audit",
    "Pair": "benchmarks.analysis.pair",
    "Side": "benchmarks.analysis.pair",
    "audit": "benchmarks.analysis.auditing",
    "compare": "benchmarks.analysis.pair",
    "dynamics": "benchmarks.analysis.dynamics",
}
__all__ = list(_HOME)

if not TYPE_CHECKING:
    __getattr__, __dir__ = _lazy.names(__name__, _HOME)
