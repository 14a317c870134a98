"""What outlives the daemon: the journal of transactions, snapshots of the graph, templates, and secrets apart.

SQLite waits for disks, so it is used by one thread alone (`writer.py`); the rest of the daemon knows `store.py`.
"""
