"""Random faults against the cluster while orders are taken: `forestall drill faults`."""
