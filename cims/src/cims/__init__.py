"""The Centralized Inventory Management System: stock, orders, shipments, penalties, region sync.

client -> api (REST) -> store (one round trip a write) -> SQL functions -> stock, movement
region feeds -> apply_sync_batch ---------------------------------^
penalty = a pure function of (orders, shipments, policy, time)
check = the proof over ledger, balance and what clients heard
"""

__version__ = "0.1.0"
