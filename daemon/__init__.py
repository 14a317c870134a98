"""The daemon: what the graph is, and everything that lives outside the audio thread."""
