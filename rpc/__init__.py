"""Every door to the daemon, made from one table of methods."""
