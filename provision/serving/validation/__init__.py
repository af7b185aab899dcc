"""Validation: real calls to a service, and an honest verdict about what came back."""
