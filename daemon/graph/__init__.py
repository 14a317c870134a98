"""Pure graph: what a graph is, how it changes, what is allowed. No asyncio, no compiled core, no files."""
