-- Waiting for a row ends before anything is committed, so it leaves no doubt. A client's own time-out
-- would cancel a commit, so it never does: it drops the line.
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET lock_timeout = %L', current_database(), '5s');
    EXECUTE format('ALTER DATABASE %I SET idle_in_transaction_session_timeout = %L',
        current_database(), '60s');
END $$;
