"""Node types that touch the outside, found by listing this folder.

Each file exports SPEC, check, open_endpoint and restart_needed, and `test` where there is something to be tried.
"""
