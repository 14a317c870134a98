"""The way into the compiled core: the only package that imports it."""
