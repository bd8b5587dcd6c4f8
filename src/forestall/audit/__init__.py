"""Before it happens: HostFacts -> Findings, and what memory exhaustion means on this host."""
