"""Signing in at a browser: sessions, second factors, passkeys, recovery codes."""
