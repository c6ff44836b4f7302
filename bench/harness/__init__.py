"""What the benches of the serving plane share: the data plane and its bundles, the peers, and how a
result is printed and kept.
"""
