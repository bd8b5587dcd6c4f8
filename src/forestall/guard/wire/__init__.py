"""Stage 3, its outward side: one client per protocol, standard library only, every byte bounded.

endpoint     addresses, TLS and secrets
stream       a connection with a deadline on every wait and a limit on every byte
http         requests over a stream; what Patroni, etcd and supervisord are asked through
xmlrpc       calls and their answers, for supervisord
postgres     login and simple queries (scram: its passwords), for pgbouncer
etcd         keys and leases, through the v3 JSON gateway
patroni      the cluster, a member, a switchover
pgbouncer    the admin console: PAUSE and RESUME
haproxy      the runtime socket: which server takes traffic
supervisord  one program, by XML-RPC
containers   podman and docker, by their command

A client is used by one thread. It may `connect()` ahead of time, when memory is still there, and
then loads, resolves and allocates nothing it can do without; it connects again by itself where
the other side has closed meanwhile.
"""
