"""What stands behind nodes that touch the outside: threads that meet the audio thread in rings, and nowhere
else.
"""
