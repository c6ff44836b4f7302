"""A Python model behind a slot: the Open Inference Protocol, version 2, on a Unix socket or a port.
docs/python.md.
"""
