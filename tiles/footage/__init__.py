"""What proves that data shows no pictures and holds no sound: bytes, text, numbers and messages looked at for themselves.

Nothing here asks what a sender calls something. A `Unproven` is the answer where the proof fails; who has none may sell as what he likes.
"""
