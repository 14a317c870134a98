"""Looking into the graph while it plays, and playing into it: taps, injections, traces, live levels.

All of it hangs beside the graph on probes of the core (csrc/probe.h): no plan changes, and nothing that nobody probes.
"""
