"""Before it happens: HostFacts -> what memory exhaustion means on this host, and Findings."""
