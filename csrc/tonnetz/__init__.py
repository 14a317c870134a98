"""Tonnetz: a daemon that runs a live audio graph, edited while it plays.

This folder is only the import package's root: `tonnetz.daemon` and `tonnetz.rpc` are links to the checkout's folders,
and the compiled core is built into it as `tonnetz._core`.
"""

from tonnetz.daemon.version import __version__ as __version__
