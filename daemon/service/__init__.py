"""What a service manager gives and wants, in a few lines each: readiness, watchdog, sockets, secrets, log with fields.

Where there is none, nothing is missing: all of it does nothing then, or what a program at a terminal does.
"""
