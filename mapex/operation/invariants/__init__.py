"""The questions behind `mapex fsck`: SQL that names what breaks an invariant; an intact exchange answers with nothing.

They look only at what is stored, never at what the services would answer, so that they find what happened behind the services' back.
"""
