"""The exchange over HTTP, as the command line uses it: requests, uploads, downloads."""
