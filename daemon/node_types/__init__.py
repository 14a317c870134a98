"""Node types that touch the outside, found by listing this folder.

Each file exports SPEC, open_endpoint and restart_needed.
"""
