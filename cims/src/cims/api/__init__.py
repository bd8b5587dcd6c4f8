"""Face: the REST API and the dashboard. `cims.api.app.build` wires what the other modules offer."""
