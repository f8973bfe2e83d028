"""Registered versions, the champion's alias, and the history of both."""
