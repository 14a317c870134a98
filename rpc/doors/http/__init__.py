"""HTTP: REST made from the method table, WebSockets, sound to listen to, and pages that explain themselves."""
