"""The edge of HTTP: who asks, what may come in, how errors go out, headers, limits, static files, the store on HTTP."""
