"""Coming in at a browser: registration, sessions, second factors, passkeys, recovery codes, forgotten passwords."""
