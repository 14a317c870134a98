"""HTTP: REST made from the method table, WebSockets, sound to listen to, and pages that explain themselves."""


class PortInUse(Exception):
    """Another program listens on the port, or this one may not."""
