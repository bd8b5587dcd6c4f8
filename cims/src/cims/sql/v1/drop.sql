-- Back to empty: everything version 1 made.
DROP TABLE heartbeat, proof, applied_batch, sync_cursor, outbox, penalty, sla_policy, transfer_line,
    transfer, receipt, shipment_line, shipment, request, order_line, sales_order, movement, stock, sku,
    warehouse, region CASCADE;
DROP FUNCTION movement_is_kept, in_our_times, check_lines, promise_at, fence, place_order, get_order_fenced,
    claim_request, ship, cancel_order, check_known, receive, adjust, quarantine, transfer_out,
    transfer_in, apply_sync_batch, sync_delays, penalty_cents, accrue_penalties, penalties_by_day CASCADE;
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I RESET lock_timeout', current_database());
    EXECUTE format('ALTER DATABASE %I RESET idle_in_transaction_session_timeout',
        current_database());
END $$;
