"""The D-Bus door: every method, event and node of the daemon on a message bus.

`door` serves; `connection` is the only file that knows dbus-next; `values` says what a Python type is on the bus,
`interfaces` makes interfaces of the method table, the events and the node's view, `tree` which objects there are.
"""
