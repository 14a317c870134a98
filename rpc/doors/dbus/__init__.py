"""The D-Bus door: every method, event and node of the daemon on a message bus.

`door` keeps us on the bus; `service` answers calls, each sender's in order (`clients`); `announcer` tells what happens,
in `signals`. `interfaces` makes interfaces of the method table, the events and the node's view, `objects` says which
objects there are, `values` what a Python type is on the bus. `connection` is the only file that knows dbus-next.
"""
