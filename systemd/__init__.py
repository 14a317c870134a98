"""Tonnetz as a service: units, bus policy and activation, users and folders, as files that are valid as they are.

`units.py` puts the right paths in and writes them where they belong.
"""
