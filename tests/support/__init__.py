"""What tests share: exchanges, markets, made-up files, servers, browsers."""
