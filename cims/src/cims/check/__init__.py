"""The proof: what clients were told, the orders, the ledger and the balances say the same.

facts    -> one snapshot of the database, and the histories
replies     I1 to I4, I9: what clients were told against what is stored
ledger      I5 to I8: orders, movements and balances against each other
states      I10 to I12: shipments, penalties and feeds
"""
