"""The reader of Apollo HD maps, in both forms of Protocol Buffers."""
