"""The doors: each turns what arrives into calls of the method table and names no method itself."""
