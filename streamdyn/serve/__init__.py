"""Many cameras from one file: its configuration, the HTTP API, the metrics, the live table."""
