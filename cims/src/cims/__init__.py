"""The Centralized Inventory Management System: stock, orders, shipments, penalties, region sync.

client -> api (REST) -> store (one round trip per write) -> SQL functions -> stock + movement
                                                                               |
region feeds -> apply_sync_batch -------------------------------------------- /
penalty = a pure function of (orders, shipments, policy, time)    check = proof over ledger and history
"""

__version__ = "0.1.0"
