"""Measures what a selector and a view policy find and show, on anyone's catalog and requests."""
