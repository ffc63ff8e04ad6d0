"""Organisations and persons: roles, invitations, passwords, API tokens."""
