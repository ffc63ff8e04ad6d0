"""Where something was, as messages of receivers, poses on the Earth and tracks beside a recording state it."""
